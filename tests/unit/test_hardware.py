import os

import ctranslate2
import pytest

from longscribe.adapters import hardware
from longscribe.adapters.hardware import Hardware, choose, cores
from longscribe.errors import BadInput


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Four processors that are two cores, no GPU, no quota; ``machine.gpus`` and others can be changed."""

    class Machine:
        gpus = 0
        topology = tmp_path / "cpu"
        quota = tmp_path / "cpu.max"

        def cores(self):
            return cores(self.topology, self.quota)

    Machine.types = {"cpu": {"int8", "int8_float32", "float32"}, "cuda": {"float16", "int8_float16", "float32"}}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    for number in range(4):
        directory = tmp_path / "cpu" / f"cpu{number}" / "topology"
        directory.mkdir(parents=True)
        (directory / "thread_siblings_list").write_text(f"{number % 2},{number % 2 + 2}\n")
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: Machine.gpus)
    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", lambda device: Machine.types[device])
    return Machine


def test_two_threads_of_a_core_count_once(machine):
    assert machine().cores() == 2


def test_processors_whose_cores_are_not_shown_count_each(machine, tmp_path):
    assert cores(tmp_path / "nowhere", machine.quota) == 4


@pytest.mark.parametrize(
    ("quota", "count"), [("max 100000", 2), ("100000 100000", 1), ("150000 100000", 1), ("50000 100000", 1)]
)
def test_a_containers_quota_bounds_the_cores(machine, quota, count):
    machine.quota.write_text(quota)
    assert machine().cores() == count


def test_without_a_gpu_each_core_is_a_lane(machine, monkeypatch):
    monkeypatch.setattr(hardware, "cores", lambda: 2)
    assert choose() == Hardware("cpu", "int8", lanes=2, at_once=2, threads=1, batch=hardware.CPU_BATCH)


def test_many_cores_share_few_lanes(machine, monkeypatch):
    monkeypatch.setattr(hardware, "cores", lambda: 33)
    assert choose() == Hardware("cpu", "int8", lanes=8, at_once=8, threads=4, batch=hardware.CPU_BATCH)


def test_a_gpu_is_one_lane(machine):
    machine.gpus = 1
    assert choose() == Hardware("cuda", "float16", lanes=2, at_once=1, threads=1, batch=hardware.GPU_BATCH)
    assert choose(device="cpu").device == "cpu"
    assert choose("int8_float16").compute_type == "int8_float16"


def test_an_old_gpu_computes_in_what_it_can(machine, monkeypatch):
    machine.gpus = 1
    monkeypatch.setitem(machine.types, "cuda", {"float32", "int8_float32"})
    assert choose().compute_type == "int8_float32"


def test_a_gpu_that_is_not_there_is_told(machine):
    with pytest.raises(BadInput, match="No GPU"):
        choose(device="cuda")


def test_a_compute_type_it_cannot_do_is_told(machine):
    with pytest.raises(BadInput, match="cpu cannot compute in float16; choose auto or one of float32, int8"):
        choose("float16")
