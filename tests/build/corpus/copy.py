"""COPY: sources, destinations, owners, modes, links."""

from buildcorpus import Again, case
from buildimage import file, fifo, folder, hard, link, socket

case(
    "copy-one",
    "a file gets the name that the destination says, or its own in a directory",
    """FROM {base}
COPY a /renamed
COPY a /in/dir/
COPY a /base
""",
    {"a": file("text\n", 0o640, 1234, 5678)},
    layers=3,
    tree={
        "/renamed": file("text\n", 0o640),
        "/in": folder(),
        "/in/dir": folder(),
        "/in/dir/a": file("text\n", 0o640),
        "/base/a": file("text\n", 0o640),
    },
    history=["* COPY a /renamed # buildkit", "* COPY a /in/dir/ # buildkit", "* COPY a /base # buildkit"],
)
