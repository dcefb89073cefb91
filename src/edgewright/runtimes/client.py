"""Talks to a harness on a device: a job out, an answer back; a crash costs one job and not the session."""

import json
import queue
import threading
from pathlib import Path
from typing import Any

from edgewright.errors import DeviceError, RuntimeRefusedError
from edgewright.transports.base import Session, Transport


class HarnessClient:
    """A harness kept running over a transport; start it anew after a crash, a timeout or `close`.

    `python` is the interpreter on the device.
    """

    def __init__(self, transport: Transport, harness: Path, python: str) -> None:
        self._transport, self._harness, self._python = transport, harness, python
        self._session: Session | None = None
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()

    def ask(self, job: str, timeout_s: float = 120.0, **arguments: Any) -> dict[str, Any]:
        """The answer to one job. Raises RuntimeRefusedError where it failed, DeviceError where the harness died."""
        session = self._session or self._start()
        try:
            session.stdin.write(json.dumps({"job": job, **arguments}) + "\n")
            session.stdin.flush()
            line = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            self.close()
            raise DeviceError(f"no answer to the job `{job}` in {timeout_s:.0f} s") from None
        except OSError as error:
            self.close()
            raise DeviceError(f"the harness ended during the job `{job}`") from error
        if not line:
            status = session.poll()
            self.close()
            raise DeviceError(f"the runtime crashed during the job `{job}` (exit status {status})")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeRefusedError(answer["error"])
        return answer

    def put(self, path: Path) -> str:
        return self._transport.put(path)

    def get(self, remote: str) -> Path:
        return self._transport.get(remote)

    def close(self) -> None:
        if self._session is not None:
            self._session.kill()
            self._session = None

    def __enter__(self) -> "HarnessClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> Session:
        session = self._transport.run([self._python, self._transport.put(self._harness)])
        answers: queue.SimpleQueue[str] = queue.SimpleQueue()

        def read() -> None:
            try:
                for line in session.stdout:
                    answers.put(line)
            except ValueError:
                pass  # closed under us by kill()
            answers.put("")

        threading.Thread(target=read, daemon=True).start()
        self._session, self._answers = session, answers
        return session
