"""Certificates for tests: authorities, servers, clients; by the openssl program.

    pki = Pki(directory)
    ca = pki.authority("ca")                   # (certificate, key): names of files
    server = pki.issue("server", ca, "subjectAltName=IP:127.0.0.1")
"""

import ipaddress
import os
import subprocess

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
LOOPBACK = "subjectAltName=IP:127.0.0.1,DNS:localhost"
CLIENT = "extendedKeyUsage=clientAuth"


class Pki:
    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    @staticmethod
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def authority(self, name):
        cert, key = self.path(name + ".crt"), self.path(name + ".key")
        self.openssl("req", "-x509", *EC, "-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN=test {name}")
        return cert, key

    def issue(self, name, authority, extension=LOOPBACK, days=2):
        """days=-1: it has expired."""
        cert, key, request = self.path(name + ".crt"), self.path(name + ".key"), self.path(name + ".csr")
        self.openssl("req", *EC, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        with open(self.path(name + ".ext"), "w", encoding="ascii") as file:
            file.write(extension + "\n")
        self.openssl("x509", "-req", "-in", request, "-CA", authority[0], "-CAkey", authority[1], "-CAcreateserial",
                     "-days", str(days), "-extfile", self.path(name + ".ext"), "-out", cert)
        return cert, key


def alternative(name):
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"


class Authority:
    """One authority, and servers that it signs for names and addresses.

    authority = Authority(directory)
    authority.authority                             # PEM file
    authority.issue("127.0.0.1", "registry.example")  # (certificate, key), PEM files
    """

    def __init__(self, directory):
        self.pki, self.count = Pki(directory), 0
        self.authority, self.key = self.pki.authority("ca")

    def issue(self, *names, days=2):
        self.count += 1
        extension = "subjectAltName=" + ",".join(alternative(name) for name in names)
        return self.pki.issue(f"server{self.count}", (self.authority, self.key), extension, days)
