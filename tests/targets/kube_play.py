"""A ``kubectl`` whose cluster is podman: what it applies is built by the real one, and played.

One pod, no scheduler: it says how manifests of ours behave when they are run, and lets the target
be tested from end to end where there is no cluster.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

SCRIPT = r"""#!PYTHON
import json, os, socket, subprocess, sys, time, urllib.request
from pathlib import Path
import yaml

PLACE = Path(__file__).parent
words, skip = [], False
for word in sys.argv[1:]:
    if skip or word.startswith("--request-timeout"):
        skip = False
    elif word in ("--context", "--namespace", "--address"):
        skip = True
    else:
        words.append(word)
with (PLACE / "calls.log").open("a") as log:
    print(*sys.argv[1:], file=log)


def podman(*arguments, **more):
    return subprocess.run(["podman", *arguments], text=True, **more)


def built(folder):
    done = subprocess.run(["REAL", "kustomize", folder], text=True, capture_output=True)
    if done.returncode:
        sys.exit(done.stderr)
    return list(yaml.safe_load_all(done.stdout))


def play(file):
    done = podman("kube", "play", "--replace", str(file), capture_output=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
    return done.returncode


def port():
    return json.loads((PLACE / "port.json").read_text())


def ready():
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port()}/readyz", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


def main():
    verb = words[0]
    if verb == "get" and words[1] == "--raw":
        return 0
    if verb == "get":
        name = words[1].partition("/")[2] or words[2]
        if podman("pod", "exists", f"{name}-pod-0").returncode:
            print(f'Error from server (NotFound): "{name}" not found', file=sys.stderr)
            return 1
        print("True" if ready() else "False")
        return 0
    if verb == "apply":
        pods = [d for d in built(words[2]) if d["kind"] == "Deployment"]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            taken = free.getsockname()[1]
        for pod in pods:  # where a Service would lead to it
            container = pod["spec"]["template"]["spec"]["containers"][0]
            container["ports"][0] |= {"hostPort": taken, "hostIP": "127.0.0.1"}
        if (PLACE / "now.yaml").exists():
            (PLACE / "now.yaml").rename(PLACE / "before.yaml")
            (PLACE / "port.json").rename(PLACE / "port-before.json")
        (PLACE / "now.yaml").write_text(yaml.safe_dump_all(pods))
        (PLACE / "port.json").write_text(json.dumps(taken))
        return play(PLACE / "now.yaml")
    if words[:2] == ["rollout", "status"]:
        for _ in range(int(os.environ.get("KUBE_PLAY_TRIES", "300"))):
            if ready():
                return 0
            time.sleep(0.1)
        print("error: timed out waiting for the condition", file=sys.stderr)
        return 1
    if words[:2] == ["rollout", "undo"]:
        (PLACE / "before.yaml").rename(PLACE / "now.yaml")
        (PLACE / "port-before.json").rename(PLACE / "port.json")
        return play(PLACE / "now.yaml")
    if verb == "delete":
        for pod in built(words[2]):
            if pod["kind"] == "Deployment":
                name = pod["metadata"]["name"]
                gone = ("pod", "rm", "--force", "--time", "2", "--ignore", f"{name}-pod-0")
                podman(*gone, capture_output=True)
        (PLACE / "now.yaml").unlink(missing_ok=True)
        return 0
    if verb == "exec":
        name = words[1].partition("/")[2]
        return podman("exec", f"{name}-pod-0-server", *words[3:]).returncode
    if verb == "logs":
        name = words[words.index("--selector") + 1].partition("=")[2]
        return podman("logs", f"{name}-pod-0-server", stderr=subprocess.STDOUT).returncode
    if verb == "port-forward":
        print(f"Forwarding from 127.0.0.1:{port()} -> 8080", flush=True)
        time.sleep(600)
    print(f"error: unknown command {words}", file=sys.stderr)
    return 1


sys.exit(main())
"""


def install(folder: Path) -> Path:
    """Write it; the folder is to stand first on the PATH."""
    folder.mkdir()
    real = shutil.which("kubectl")
    assert real
    file = folder / "kubectl"
    file.write_text(SCRIPT.replace("PYTHON", sys.executable).replace("REAL", real))
    file.chmod(0o755)
    return folder


def on_path(folder: Path) -> str:
    """The PATH with it."""
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
