"""What meets a kernel waits for nothing, and has room for what the kernel says."""

from __future__ import annotations

import zmq

from mlops_magics.notebooks import listening, meeting


def test_what_a_manager_makes_does_both() -> None:
    manager = meeting.Manager(kernel_name="python3")
    client = manager.client()
    assert isinstance(client, meeting.Meeting)
    assert client.context.getsockopt(zmq.RCVHWM) == listening.QUEUE
    for context in (manager.context, client.context):
        assert context.getsockopt(zmq.RECONNECT_IVL) == 1000 * meeting.PAUSE
