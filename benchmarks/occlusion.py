"""Seconds of an occlusion map, ours and Captum's, in one run: python benchmarks/occlusion.py [stride]

The bundled network, the cat, grey windows of 16 × 16; at the default stride of 8 that is 729 positions.
On a machine that is busy with other work, CPU seconds with OMP_NUM_THREADS=1 say more than the clock.
The stride is 16 or a divisor of it: Captum allows no larger one.
"""

import sys
import time
from collections.abc import Callable

import torch
from captum.attr import Occlusion
from torch import Tensor

from cnnviz_widgets import load_network, occlusion, occlusion_steps

WINDOW = 16


def timed(call: Callable[[], Tensor]) -> tuple[float, float, Tensor]:
    """Seconds by the clock, seconds of processor time, result."""
    began, began_cpu = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - began, time.process_time() - began_cpu, result


def main(stride: int) -> None:
    network = load_network()
    inputs, target = network.preprocess("cat"), network.class_index("tiger cat")
    grey = sum(network.bounds).expand_as(inputs) / 2

    def ours() -> Tensor:
        result = occlusion(network, inputs, target, WINDOW, stride, progress=False)
        return result.per_pixel(result.clean_logit - result.logits)

    def ours_in_steps() -> Tensor:
        *_steps, last = occlusion_steps(network, inputs, target, WINDOW, stride)
        return last.map.per_pixel(last.map.clean_logit - last.map.logits)

    def captums(batch_size: int) -> Tensor:
        with torch.no_grad():
            settings = {"sliding_window_shapes": (3, WINDOW, WINDOW), "strides": (3, stride, stride)}
            explain = Occlusion(network.module).attribute
            return explain(inputs, target=target, baselines=grey, perturbations_per_eval=batch_size, **settings)[0, 0]

    network.module(inputs)  # the first call of all is slower
    occlusion(network, inputs, target, WINDOW, 100, progress=False)
    print(f"{((224 - WINDOW) // stride + 1) ** 2} positions, {torch.get_num_threads()} threads")
    print(f"{'':24}{'seconds':>9}{'ratio':>8}{'CPU seconds':>13}{'ratio':>8}{'largest difference':>21}")
    rows = {"ours": timed(ours)}
    rows["ours, as panels do it"] = timed(ours_in_steps)
    rows["Captum, batches of 1"] = timed(lambda: captums(1))
    rows["Captum, batches of 16"] = timed(lambda: captums(16))
    first, first_cpu, reference = rows["ours"]
    for name, (seconds, cpu, result) in rows.items():
        difference = (result - reference).abs().max().item()
        print(f"{name:24}{seconds:9.1f}{seconds / first:8.1f}{cpu:13.1f}{cpu / first_cpu:8.1f}{difference:21.1e}")

    moments = [time.perf_counter()]
    for _step in occlusion_steps(network, inputs, target, WINDOW, max(stride, 16)):
        moments.append(time.perf_counter())
    steps = sorted(after - before for before, after in zip(moments, moments[1:], strict=False))
    print(f"a step: median {steps[len(steps) // 2] * 1e3:.0f} ms, longest {steps[-1] * 1e3:.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
