"""`outcry up` with fake children: fake_up.py DIRECTORY GRACE_S NAME:RANK:MODE[:ARGUMENT] ..."""

import sys
from pathlib import Path

from adapters.process import configure_logs
from tools import exits
from tools.child import Spec
from tools.supervisor import Readiness, Supervisor


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(directory: Path, grace_s: float, described: list[str]) -> int:
    """Supervise the described children with log ``directory``/log."""
    configure_logs("console", "debug")
    specs = []
    for text in described:
        name, rank, *rest = text.split(":")
        script = str(Path(__file__).with_name("fake_child.py"))
        final = exits.FINAL_OF_CORE if name == "core" else exits.FINAL_OF_OTHERS
        argv = (sys.executable, script, str(directory / "log"), name, *rest)
        specs.append(Spec(name, argv, int(rank), final))
    is_asked = iter([False, True])
    return Supervisor(
        specs,
        directory,
        readiness=Readiness(lambda: next(is_asked), lambda: _say("ready")),
        grace_s=grace_s,
    ).run()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
