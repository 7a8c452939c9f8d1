"""The project's scripts around a switch, pre-activate.sh and post-activate.sh, which a release keeps.

`ROOT/platter` has no bundle any more: so they lie in the release, in `.platter-scripts/`, and beside them the project's
files of the bundle's data folder. See releases/commands.py for how they run.
"""

import os
import shutil
from typing import Dict

from .. import checksums, extraction, thin
from ..bundle_files import AGAIN, MODULES, files
from ..errors import BundleError
from .install_state import SCRIPTS

PRE_ACTIVATE, POST_ACTIVATE = "pre-activate.sh", "post-activate.sh"
NAMES = (PRE_ACTIVATE, POST_ACTIVATE)
DATA = "data"


def is_project_data(name: str) -> bool:
    """Whether a file of a bundle is one of the data folder that is not there for the installation alone."""
    return name.startswith(DATA + "/") and not thin.kind_of(name) and not name.startswith(MODULES)


def keep(bundle: str, sums: Dict[str, str], release: str) -> None:
    """Copy the scripts and the data into the release, if there is such a script. BundleError if one is altered."""
    if not any(name in sums for name in NAMES):
        return
    there, place = files(bundle), os.path.join(release, SCRIPTS)

    def wanted(name: str) -> bool:
        return name in NAMES or is_project_data(name)

    extraction.write(there, place, wanted)
    os.makedirs(os.path.join(place, DATA), exist_ok=True)
    for name in filter(wanted, sums):
        path = os.path.join(place, name)
        if not os.path.exists(path):  # a link to a file that is not kept
            os.unlink(path)
            with there.open(name).stream as source, open(path, "xb") as target:
                os.fchmod(target.fileno(), 0o644)
                shutil.copyfileobj(source, target)
        with open(path, "rb") as stream:
            if checksums.digest(stream) != sums[name]:
                raise BundleError("%s: altered" % os.path.join(bundle, name), hint=AGAIN)
