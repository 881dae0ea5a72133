"""The values of the delegate's option `kernel` that choose different kernels on this CPU."""

from pathlib import Path

_CPU = set(Path("/proc/cpuinfo").read_text().split())

KERNELS = ("auto", *(("avx2",) if "avx512_vpopcntdq" in _CPU else ()), "portable", "reference")
