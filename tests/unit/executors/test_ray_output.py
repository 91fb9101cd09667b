"""What Ray prints by itself is no part of our answer."""

import pytest

ray = pytest.importorskip("ray", reason="Ray is an extra")


def test_stdout_is_ours_while_a_pool_is_open(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    from gs_stereo.executors.ray import RayPool

    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "shutdown", lambda: print("(raylet) and a last word"))
    pool = RayPool(None, "127.0.0.1:1")
    print("(raylet) The node with node id 1 has been marked dead")
    pool.close()
    print("{}")
    told = capsys.readouterr()
    assert told.out == "{}\n"
    assert told.err.count("(raylet)") == 2
