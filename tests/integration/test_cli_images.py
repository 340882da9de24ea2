"""What the commands about images say, called imagectl and called docker."""

from archives import an_image, docker_files, load
from harness import TestCase
from ociimage import tar

ID = r"sha256:[0-9a-f]{64}"


class CliImages(TestCase):
    def setUp(self):
        super().setUp()
        self.imaged = self.daemon()
        self.client = self.imaged.client()

    def load(self, *images):
        return load(self.client, tar(docker_files(*images)))

    def docker(self, *args, **options):
        return self.imaged.ctl(*args, name="docker", **options)

    def said(self, *args, **options):
        """(status, stdout, stderr)"""
        done = self.imaged.ctl(*args, check=False, **options)
        return done.returncode, done.stdout, done.stderr

    def test_a_name_may_have_255_letters_besides_its_registry(self):
        self.load((an_image(), "a:1"))
        for registry in ("", "127.0.0.1:5000/"):
            longest = "n" * (255 - (0 if registry else len("library/")))
            self.assertEqual((0, "", ""), self.said("tag", "a:1", registry + longest))
            self.assertEqual(f"{registry}{longest} latest\n", self.imaged.ctl("images", "--format", "{{.Repository}} {{.Tag}}", registry + longest).stdout)
            refused = self.said("tag", "a:1", registry + longest + "n")
            self.assertEqual((1, "", f'Error parsing reference: "{registry}{longest}n" is not a valid repository/tag: '
                                     "repository name must not be more than 255 characters\n"), refused)  # fmt: skip

    def test_a_platform_that_cannot_be_read_is_refused_before_anything_is_asked(self):
        self.load((an_image(), "a:1"))
        bad = '"a/b/c/d": cannot parse platform specifier: invalid argument\n'
        self.assertEqual((1, "", bad), self.said("image", "inspect", "--platform", "a/b/c/d", "a:1"))
        self.assertEqual((1, "", bad), self.said("rmi", "--platform", "linux/amd64,a/b/c/d", "a:1"))
        self.assertEqual((1, "", "invalid platform: " + bad), self.said("history", "--platform", "a/b/c/d", "a:1"))
        self.assertEqual(["docker.io/library/a:1"], self.client.images()[0].repo_tags)

    def test_until_says_nothing_of_an_image_without_a_time(self):
        self.load((an_image("one", edit=lambda _, config: config.pop("created", None)), "timeless:1"), (an_image("two"), "old:1"))
        self.assertEqual("old\n", self.imaged.ctl("images", "-f", "until=1h", "--format", "{{.Repository}}").stdout)
        self.assertEqual("timeless\n", self.imaged.ctl("images", "-f", "before=old:1", "--format", "{{.Repository}}").stdout)
        self.imaged.ctl("image", "prune", "-af", "--filter", "until=1h")
        self.assertEqual(["docker.io/library/timeless:1"], self.client.images()[0].repo_tags)

    def test_called_docker_df_has_dockers_sections_only(self):
        sections = [line for line in self.docker("system", "df", "-v").stdout.splitlines() if "usage:" in line]
        self.assertEqual(["Images space usage:", "Containers space usage:", "Local Volumes space usage:", "Build cache usage: 0B"], sections)
        self.assertTrue(self.imaged.ctl("system", "df", "-v").stdout.startswith(self.docker("system", "df", "-v").stdout + "\nStore usage: "))

    def test_df_raw_is_a_block_for_each(self):
        self.load((an_image(), "a:1"))
        image = self.client.images()[0]
        blocks = self.imaged.ctl("system", "df", "--format", "raw").stdout.split("\n\n")
        self.assertRegex(blocks[0], r"^type: Images\ntotal: 1\nactive: 0\nsize: \S+\nreclaimable: \S+ \(100%\)$")
        self.assertEqual(["type: Containers\ntotal: 0\nactive: 0\nsize: 0B\nreclaimable: 0B", "type: Local Volumes\ntotal: 0\nactive: 0\nsize: 0B\nreclaimable: 0B"], blocks[1:3])
        self.assertEqual(["type: Build Cache\ntotal: 0\nactive: 0\nsize: 0B\nreclaimable: 0B", ""], blocks[3:])
        self.assertRegex(
            self.imaged.ctl("system", "df", "-v", "--format", "raw").stdout,
            rf"^type: Image\nrepository: a\ntag: 1\ndigest: \nimage_id: {image.id}\ncreated_at: [-0-9: +UTC]+\nvirtual_size: \S+\n\n$",
        )

    def test_an_argument_counts_as_it_was_typed_and_a_filter_without_blanks(self):
        self.load((an_image(), "a:1"))
        names = ("images", "--format", "{{.Repository}}")
        self.assertEqual((0, "", ""), self.said(*names, " a "))
        self.assertEqual((0, "a\n", ""), self.said(*names, "-f", " reference = a "))
        for key in ("before", "since"):
            self.assertEqual((1, "", "Error response from daemon: invalid reference format\n"), self.said(*names, "-f", key + "="))

    def test_called_docker_there_is_no_tree(self):
        self.load((an_image(), "a:1"))
        done = self.docker("images", "--tree", "-q", check=False)
        self.assertEqual((1, "", '"--tree" requires API version 1.47, but the Docker daemon API version is 1.41\n'), (done.returncode, done.stdout, done.stderr))
        self.assertIn("a:1", self.imaged.ctl("images", "--tree").stdout)

    def test_blank_names_are_no_images(self):
        blank = "Error response from daemon: image name cannot be blank\n"
        for name in (" ", "\t\n", ""):
            self.assertEqual((1, "", blank), self.said("rmi", name))
        self.assertEqual((1, "[]\n", "invalid container name or ID: value is empty\n"), self.said("inspect", ""))
        self.assertEqual((1, "[]\n", "Error: No such image: \n"), self.said("image", "inspect", ""))

    def test_objects_that_are_no_images_are_missed_in_dockers_words(self):
        swarm = 'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'
        for kind, text in (("container", "No such container: x"), ("network", "network x not found"),
                           ("volume", "get x: no such volume"), ("plugin", 'plugin "x" not found'), ("node", swarm)):
            done = self.docker("inspect", "--type", kind, "x", check=False)
            self.assertEqual((1, "[]\n", f"Error response from daemon: {text}\n"), (done.returncode, done.stdout, done.stderr))
        self.assertEqual((1, "[]\n", "Error: No such node: x\n"), self.said("inspect", "--type", "node", "x"))
        status, out, err = self.said("inspect", "--type", "", "x")
        self.assertEqual((1, ""), (status, out))
        self.assertTrue(err.startswith('type is empty: must be one of "config", "container", '), err)


if __name__ == "__main__":
    import unittest

    unittest.main()
