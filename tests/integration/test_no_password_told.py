"""No error tells the password of a URL, wherever the URL stands, and however odd the password is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import projects
from support.front_ends import PLATTER

if TYPE_CHECKING:
    from pathlib import Path

    from support.front_ends import Yard

# Not percent-encoded, as it should be: with a slash the password begins where others see a path.
URL = "https://me:s3cr/et@tok@127.0.0.1:1/simple"
SECRETS = ("s3cr", "et@tok", "tok@")
PROJECT = "[build-system]\nrequires = []\nbuild-backend = 'x'\n[project]\nname = 'hello'\nversion = '1.0'\n"
LOCK = f"""
lock-version = "1.0"
created-by = "hand"
[[packages]]
name = "leaf"
version = "2.0"
wheels = [{{ url = "{URL}/leaf-2.0-py3-none-any.whl", hashes = {{ sha256 = "{"0" * 64}" }} }}]
"""


def section(*options: str) -> str:
    return "[bdist_platter]\n" + "".join(f"{option}\n" for option in options)


@pytest.mark.parametrize(
    ("words", "environ", "files"),
    [
        ([f"--pip-option=--index-url={URL}"], {}, {}),
        ([f"--pip-option=--proxy={URL}"], {}, {}),
        ([f"--pip-option=--trusted-host={URL}", "--python", URL], {}, {}),
        ([f"--lock={URL}"], {}, {}),
        ([f"--requirements={URL}"], {}, {}),
        ([f"--wheel-cache={URL}", f"--format={URL}"], {}, {}),
        ([URL], {}, {}),
        ([], {"PLATTER_BUILD_PIP_OPTION": f"--extra-index-url={URL}"}, {}),
        ([], {"PLATTER_BUILD_FORMAT": URL}, {}),
        ([], {"PIP_INDEX_URL": URL}, {}),
        ([], {"PIP_RETRIES": URL}, {}),
        ([], {"PIP_CONSTRAINT": URL}, {}),
        ([], {"UV_INDEX": URL}, {}),
        ([], {"UV_DEFAULT_INDEX": URL, "PIP_INDEX_URL": ""}, {}),
        ([], {"UV_CONSTRAINT": URL}, {}),
        ([], {"PIP_CONFIG_FILE": "pip.conf", "PIP_INDEX_URL": ""}, {"pip.conf": f"[global]\nindex-url = {URL}\n"}),
        ([], {"PIP_CONFIG_FILE": "pip.conf"}, {"pip.conf": f"[global]\ntimeout = {URL}\n"}),
        ([], {"PIP_CONFIG_FILE": "pip.conf"}, {"pip.conf": f"{URL}\n"}),
        ([], {}, {"setup.cfg": section(f"pip-option = --index-url={URL}")}),
        ([], {}, {"setup.cfg": section(f"format = {URL}")}),
        ([], {}, {"pyproject.toml": f"{PROJECT}[tool.platter]\npip-option = ['-f {URL}', '--timeout={URL}']\n"}),
        ([], {}, {"pyproject.toml": f"{PROJECT}[tool.platter]\nformat = '{URL}'\n"}),
        ([], {}, {"pyproject.toml": f"{PROJECT}[tool.uv]\nindex-url = '{URL}'\n"}),
        ([], {}, {"pyproject.toml": f"{PROJECT}[tool.uv]\nno-such-setting = '{URL}'\n"}),
        ([], {}, {"pyproject.toml": f"{PROJECT}dependencies = ['leaf @ {URL}']\n"}),
        (["--lock=pylock.toml"], {}, {"pylock.toml": LOCK}),
        (["--lock=pylock.toml"], {}, {"pylock.toml": f"{URL}\n"}),
        (["--requirements=more.txt"], {}, {"more.txt": f"--index-url {URL}\nleaf\n"}),
        (["--requirements=more.txt"], {}, {"more.txt": f"leaf @ {URL}/leaf-2.0-py3-none-any.whl\n"}),
        (["--requirements=more.txt"], {}, {"more.txt": f"--nonsense {URL}\n"}),
    ],
)
def test_wherever_the_url_stands(
    yard: Yard, tmp_path: Path, words: list[str], environ: dict[str, str], files: dict[str, str]
) -> None:
    project = projects.hello(tmp_path / "project", files)
    environ = {"PIP_RETRIES": "0", "UV_HTTP_RETRIES": "0", **environ}
    code = 0
    for command in ("config", "build"):
        done = yard.run_at_all(PLATTER, command, *words, cwd=project, **environ)
        code = max(code, done.returncode)
        assert not [secret for secret in SECRETS if secret in done.stdout + done.stderr], done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert code > 0
