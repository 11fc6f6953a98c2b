"""What benchmark programs print, as their sources write it and users have posted it, and what is read from that."""

from __future__ import annotations

import pytest

from pocketface.bench.adb.tools import TOOLS, Options
from pocketface.errors import DeviceError

#: TensorFlow Lite 2.3, an Android phone; figures as in issue 42507 of tensorflow/tensorflow.
TFLITE_2020 = """STARTING!
Duplicate flags: num_threads
Log parameter values verbosely: [0]
Num threads: [4]
Graph: [/data/local/tmp/x/model.tflite]
#threads used for CPU inference: [4]
Loaded model /data/local/tmp/x/model.tflite
The input model file size (MB): 0.004448
Initialized session in 0.855ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=15 first=49060 curr=33682 min=32825 max=49060 avg=34825.1 std=3930

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=32891 curr=33978 min=32641 max=34005 avg=33209.4 std=450

Inference timings in us: Init: 855, First inference: 49060, Warmup (avg): 34825.1, Inference (avg): 33209.4
Peak memory footprint (MB): init=0 overall=12.8672
"""
#: Later: a level before each line, percentiles behind the statistics, and the peak if it was asked for.
TFLITE_2025 = """INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Min num runs: [50]
INFO: Num threads: [1]
INFO: Graph: [/data/local/tmp/x/model.tflite]
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: The input model file size (MB): 3.57776
INFO: Initialized session in 3.337ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=9 first=81913 curr=55502 min=55502 max=81913 avg=58984.7 std=8115 p5=55502 median=56000 p95=81913

INFO: Running benchmark for at least 50 iterations and at least 0 seconds but terminate if exceeding 150 seconds.
INFO: count=50 first=56576 curr=56299 min=54669 max=60236 avg=56265.8 std=982 p5=54900 median=56100 p95=58000

INFO: Inference timings in us: Init: 3337, First inference: 81913, Warmup (avg): 58984.7, Inference (avg): 56265.8
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the rest.
INFO: Memory footprint delta from the start of the tool (MB): init=2.43359 overall=8.67578
INFO: Overall peak memory footprint (MB) via periodic monitoring: 93.2383
"""
#: ONNX Runtime 1.2x on an Arm board, with -s.
ORT = """Setting intra_op_num_threads to 1
Session creation time cost: 0.0273071 s
First inference time cost: 20 ms
Total inference time cost: 0.14188 s
Total inference requests: 8
Average inference time cost: 17.735 ms
Total inference run time: 0.141991 s
Number of inferences per second: 56.3415
Avg CPU usage: 98 %
Peak working set size: 35299328 bytes
Min Latency: 0.0159831 s
Max Latency: 0.0232702 s
P50 Latency: 0.0167086 s
P90 Latency: 0.0232702 s
P95 Latency: 0.0232702 s
P99 Latency: 0.0232702 s
P999 Latency: 0.0232702 s
"""
#: 2018 and 2025.
ORT_OLD = ORT.replace(" Latency: ", " Latency is ").replace(" s\n", " sec\n").replace("0.0273071 sec", "0.0273071 s")
ORT_NEW = ORT.replace("Average inference time cost: 17.735", "Average inference time cost total: 17.735000")
#: Its result file: model, seconds, memory, load, number; since 2025 seconds of submission before those of all.
RESULT = (
    "x,0.9,35299328,98,0\nx,0.016,35299328,98,1\nx,0.0175,35299328,98,2\nx,1.25e-02,35299328,98,3\n\nMin Latency: 1 s\n"
)
RESULT_2025 = RESULT.replace("x,", "x,0.001,")

BENCHMARK_MODEL, PERF_TEST = TOOLS["benchmark_model"], TOOLS["onnxruntime_perf_test"]


def test_the_old_benchmark_model_tells_a_mean() -> None:
    found = BENCHMARK_MODEL.read(TFLITE_2020, None, Options())
    assert (found.times_ms, found.percentiles_ms, found.peak_memory_bytes) == ((), {}, None)
    assert found.mean_ms == pytest.approx(33.2094)
    assert found.load_ms == pytest.approx(0.855 + 49.060)
    assert "count=50" in found.notes[0]
    assert "std=450" in found.notes[0]


def test_the_new_benchmark_model_tells_a_median_and_a_peak() -> None:
    found = BENCHMARK_MODEL.read(TFLITE_2025, None, Options())
    assert found.percentiles_ms == {"p50": pytest.approx(56.1)}  # not the warm-up's 56.0
    assert found.mean_ms == pytest.approx(56.2658)
    assert found.peak_memory_bytes == round(93.2383 * 1024 * 1024)


def test_runs_of_one_and_the_same_time_have_no_statistics_but_a_mean() -> None:
    text = TFLITE_2020.replace(
        "count=50 first=32891 curr=33978 min=32641 max=34005 avg=33209.4 std=450", "count=1 curr=7"
    )
    found = BENCHMARK_MODEL.read(text.replace("(avg): 33209.4", "(avg): 7"), None, Options())
    assert found.mean_ms == pytest.approx(0.007)


@pytest.mark.parametrize("result", [RESULT, RESULT_2025], ids=["until 2025", "since"])
def test_single_times_come_from_the_result_file_without_the_warm_up(result: str) -> None:
    found = PERF_TEST.read(ORT, result, Options(warmup=1, runs=3))
    assert found.times_ms == pytest.approx((16, 17.5, 12.5))
    assert (found.percentiles_ms, found.mean_ms) == ({}, None)
    assert found.load_ms == pytest.approx(27.3071 + 20)
    assert found.peak_memory_bytes == 35299328


@pytest.mark.parametrize("text", [ORT, ORT_OLD, ORT_NEW], ids=["now", "2018", "2025"])
@pytest.mark.parametrize("result", [None, "", "not,a,result,at,all\n"])
def test_without_a_result_file_the_printed_percentiles_stand_and_the_reader_is_told(
    text: str, result: str | None
) -> None:
    found = PERF_TEST.read(text, result, Options())
    assert found.times_ms == ()
    assert found.percentiles_ms == pytest.approx({"p50": 16.7086, "p90": 23.2702, "p99": 23.2702})
    assert found.mean_ms == pytest.approx(17.735)
    assert "warm-up" in found.notes[0]


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
@pytest.mark.parametrize(("text", "told"), [("", "printed nothing"), ("one\nFailed to load\n\n", "Failed to load")])
def test_what_cannot_be_read_is_quoted(tool, text: str, told: str) -> None:
    with pytest.raises(DeviceError, match=told):
        tool.read(text, None, Options())


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
def test_every_option_reaches_the_program(tool) -> None:
    plain = tool.arguments("/m", "/r", Options())
    assert any("/m" in argument for argument in plain)
    assert ("/r" in plain) == tool.writes
    for options in (Options(threads=3), Options(warmup=7), Options(runs=9), Options(extra=("--more",))):
        assert tool.arguments("/m", "/r", options) != plain
    assert "--more" in tool.arguments("/m", "/r", Options(extra=("--more",)))


def test_perf_test_is_asked_for_the_runs_and_the_warm_up() -> None:
    arguments = PERF_TEST.arguments("/m", "/r", Options(warmup=5, runs=50))
    assert arguments[arguments.index("-r") + 1] == "55"
    assert arguments[-2:] == ["/m", "/r"]
