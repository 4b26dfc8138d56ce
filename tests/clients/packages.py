"""Packages of PyPI and npm in the versions of requirements.txt and npm/package-lock.json, installed once beside the build."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target")) / "client-packages"


def python_packages():
    """Makes the packages of requirements.txt importable."""
    folder = python_folder("requirements.txt")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def python_folder(requirements):
    """The folder that holds the packages of a list."""
    wanted = HERE / requirements

    def install(folder):
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, capture_output=True, timeout=120)
        installed = subprocess.run([folder / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--target", folder / "lib", "-r", wanted],
                                   capture_output=True, timeout=600)
        shutil.rmtree(folder / "venv")
        assert installed.returncode == 0, f"pip could not install {wanted.name}: {installed.stderr.decode(errors='replace')[-1000:]}"
    return installed_once("python", [wanted], install) / "lib"


def node_packages(of="npm"):
    """The folder whose node_modules holds the packages of a package-lock.json."""
    wanted = [HERE / of / "package.json", HERE / of / "package-lock.json"]

    def install(folder):
        for file in wanted:
            shutil.copy(file, folder)
        installed = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], cwd=folder, capture_output=True, timeout=300)
        assert installed.returncode == 0, f"npm could not install {wanted[1].name}: {installed.stderr.decode(errors='replace')[-1000:]}"
    return installed_once("node", wanted, install)


def installed_once(name, files, install):
    """A folder named by the content of `files`; made under another name first, so that one that is there is whole."""
    key = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    folder = CACHE / f"{name}-{key}"
    if not folder.exists():
        making = CACHE / f"{name}-{key}.{os.getpid()}"
        making.mkdir(parents=True)
        try:
            install(making)
            making.rename(folder)
        except OSError:
            # Another run was first.
            assert folder.exists()
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return folder
