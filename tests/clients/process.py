"""Clients as their users run them: a command with a home folder of its own, or a program on a terminal."""
import contextlib
import os
import pathlib
import shlex
import subprocess
import tempfile

from demo import eventually

# A client that has not ended by then goes on for ever, or waits for an answer that nobody gives.
LIMIT_S = 60


@contextlib.contextmanager
def home():
    """A home folder for one client; nothing of the tester's own settings is read."""
    with tempfile.TemporaryDirectory(prefix="vaguemestre-client-", ignore_cleanup_errors=True) as folder:
        yield pathlib.Path(folder)


def environment(folder, **more):
    usual = {name: value for name, value in os.environ.items() if name in ("PATH", "TMPDIR")}
    return {**usual, "HOME": str(folder), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TERM": "xterm", **more}


def run(*words, status=0, **options):
    """Runs a client and gives what it said: (standard output, all output). `status` is the exit status it must end with, or a set of them."""
    words = [str(word) for word in words]
    done = subprocess.run(words, capture_output=True, timeout=LIMIT_S, **options)
    said = done.stdout + done.stderr
    wanted = status if isinstance(status, set) else {status}
    assert done.returncode in wanted, f"{words[0]} ended with {done.returncode}, not {wanted}: {said.decode(errors='replace')[-1500:]}"
    return done.stdout, said


def private(file, text):
    """Writes a settings file with a password in it; some clients refuse one that others can read."""
    file.write_text(text)
    file.chmod(0o600)
    return file


def named(name, what, *subject):
    """A check that several clients share, for one of them: `what` is given the client, then the demo."""
    def check(demo):
        what(*subject, demo)
    check.__name__ = f"{name}_{what.__name__}"
    return check


class Terminal:
    """A program on a terminal of 120 columns, in a tmux server of its own."""

    def __init__(self, folder, *words, **more):
        self.socket = folder / "tmux"
        self.environment = environment(folder, **more)
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", shlex.join(str(word) for word in words) + "; echo ended with $?; exec cat")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, timeout=LIMIT_S)

    def tmux(self, *words):
        done = subprocess.run(["tmux", "-S", self.socket, *words], capture_output=True, timeout=LIMIT_S, env=self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode(errors="replace")

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def until(self, check):
        """The first true value of `check`; the screen stands in the error when there is none."""
        try:
            return eventually(check, LIMIT_S)
        except AssertionError as late:
            raise AssertionError(f"{late}; the screen shows:\n{self.screen()}") from None

    def sees(self, *texts):
        """Waits until the screen shows one of `texts`, and says which."""
        def text_on_screen():
            screen = self.screen()
            return next((text for text in texts if text in screen), None)
        try:
            return self.until(text_on_screen)
        except AssertionError as late:
            raise AssertionError(f"none of {texts}: {late}") from None

    def keys(self, *keys):
        """Presses keys: names of tmux such as Enter and C-x, or single characters."""
        self.tmux("send-keys", *keys)

    def types(self, text):
        self.tmux("send-keys", "-l", text)
