"""A SLURM of one node on the loopback address, with a configuration of its own, for as long as a context lasts."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "srun", "scancel")
CONFIGURATION = """\
ClusterName=glossator
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={port}
SlurmdPort={other}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
JobRequeue=1
SchedulerParameters=sched_interval=1,bf_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class NoSlurm(Exception):
    """Why there is none here."""


@contextlib.contextmanager
def single_node_slurm() -> Iterator[str]:
    """Within, `sbatch` reaches it; yields its version. Raises `NoSlurm` where its daemons are not there or fail."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))
    found = {name: shutil.which(name, path=path) for name in PROGRAMS}
    if missing := [name for name, place in found.items() if place is None]:
        raise NoSlurm(f"{', '.join(missing)} not installed (Debian: slurmctld, slurmd, slurm-client, munge)")
    if os.geteuid():
        raise NoSlurm("its daemons need root")
    folder, before, daemons = Path(tempfile.mkdtemp(prefix="slurm")), os.environ.get("SLURM_CONF"), []
    try:
        for name in ("state", "spool"):
            (folder / name).mkdir()
        (folder / "key").write_bytes(os.urandom(128))
        (folder / "key").chmod(0o600)
        host, port = platform.node(), 20_000 + os.getpid() % 20_000
        values = {"host": host, "port": port, "other": port + 1, "folder": folder, "cores": os.cpu_count()}
        (folder / "slurm.conf").write_text(CONFIGURATION.format(**values))
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        munge = [
            f"--{name}={folder}/munge.{name.removesuffix('-file')}" for name in ("socket", "pid-file", "seed-file")
        ]
        for command in (
            [found["munged"], "--foreground", "--force", f"--key-file={folder}/key", *munge],
            [found["slurmctld"], "-D"],
            [found["slurmd"], "-D"],
        ):
            with open(folder / "daemons.log", "ab") as log:
                daemons.append(subprocess.Popen([str(part) for part in command], stdout=log, stderr=log))
            time.sleep(1)
        _wait_for_node(daemons, folder)
        said = subprocess.run(["sbatch", "--version"], capture_output=True, text=True, check=True)
        try:
            yield said.stdout.strip()
        finally:
            _end_jobs()
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
        os.environ.pop("SLURM_CONF") if before is None else os.environ.update(SLURM_CONF=before)
        shutil.rmtree(folder, ignore_errors=True)


def _end_jobs() -> None:
    """Cancel what still runs or waits; without their controller, jobs would never end."""
    said = ""
    for _ in range(60):
        said = subprocess.run(["squeue", "-h", "-o", "%A"], capture_output=True, text=True, check=False).stdout
        if not (jobs := sorted(set(said.split()))):
            return
        subprocess.run(["scancel", *jobs], check=False)
        time.sleep(0.5)
    raise RuntimeError(f"jobs of the SLURM node do not end: {', '.join(said.split())}")


def _wait_for_node(daemons: list[subprocess.Popen[bytes]], folder: Path) -> None:
    said = ""
    for _ in range(40):
        if any(daemon.poll() is not None for daemon in daemons):
            break
        said = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False).stdout.strip()
        if said == "idle":
            return
        time.sleep(0.5)
    logs = "".join(path.read_text(errors="replace")[-800:] for path in sorted(folder.glob("*.log")))
    raise NoSlurm(f"its node is not ready ({said or 'no answer'}): {logs}")
