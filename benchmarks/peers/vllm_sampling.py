"""The peer's side of `benchmarks.sampling_vs_vllm`: batches sampled by vLLM's offline engine. Imports nothing of ours.

    python vllm_sampling.py < task.json

Prints one line of JSON: seconds of each batch after the first, which warms up. vLLM's settings are the fastest on a CPU that do
the same work: float32, compiled, threads on all cores, prompts cached, no statistics, nothing detokenized, no log-probabilities
of other tokens. No seed a request: its seeded draws go row by row.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ["VLLM_LOGGING_LEVEL"] = "WARNING"
os.environ["VLLM_NO_USAGE_STATS"] = "1"
os.environ["VLLM_CPU_KVCACHE_SPACE"] = "2"
os.environ["VLLM_CPU_OMP_THREADS_BIND"] = f"0-{(os.cpu_count() or 1) - 1}"

from vllm import LLM, SamplingParams, TokensPrompt


def main() -> None:
    """Run the task on standard input."""
    # vLLM's processes print to standard output as well, until after their end: the result has it for itself.
    result = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    task = json.load(sys.stdin)
    llm = LLM(
        task["model"],
        dtype="float32",
        max_model_len=512,
        max_num_seqs=task["samples"] * len(task["prompts"]),
        disable_log_stats=True,
        seed=0,
    )
    params = SamplingParams(
        n=task["samples"], temperature=1.0, max_tokens=task["tokens"], ignore_eos=True, logprobs=0, detokenize=False
    )
    seconds = []
    for _ in range(task["batches"] + 1):
        begin = time.perf_counter()
        outputs = llm.generate([TokensPrompt(prompt_token_ids=prompt) for prompt in task["prompts"]], params, use_tqdm=False)
        seconds.append(time.perf_counter() - begin)
        assert all(len(sample.token_ids) == task["tokens"] for output in outputs for sample in output.outputs)
    print(json.dumps({"seconds": seconds[1:]}), file=result, flush=True)


if __name__ == "__main__":
    main()
