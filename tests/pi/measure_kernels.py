"""What the arm64 convolutions cost, without an ARM at hand: a model's cycles and emulated instruction counts.

    python tests/pi/measure_kernels.py [--mca llvm-mca-19] [--build build/measure] [--compiler aarch64-linux-gnu-g++]

Needs cmake, g++-aarch64-linux-gnu, qemu-user-static and llvm-mca. Prints three Markdown tables:

* Inner loops: every loop of the compiled kernels that counts bits (CNT), through llvm-mca's models of three cores.
* Whole tiles: what a tile of 8 channels x 8 pixels executes from its first address to its sums, so the loop with what
  is before it, a row's end of 32 to 96 channels and the flush, through the same models. Real channels are counted.
* Whole layers: executed instructions of LceQuantize and of the convolution, the difference between two runs and one
  run of a layer, over those of its basic blocks that count bits (the inner loop and its tails).

Neither is a time on a Raspberry Pi: the models know no cache misses, and instructions are not cycles.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORES = {"a53": "cortex-a53", "a72": "cortex-a72", "a76": "neoverse-n1"}  # N1 is A76's core; LLVM models N1
BITS = 128
TILES = [(3, channels) for channels in (32, 64, 96, 128, 256)] + [(1, channels) for channels in (32, 64, 96, 128, 256)]
# size, channels in, channels out, filter, stride: QuickNet's blocks and the shapes around them.
LAYERS = [
    (32, 64, 64, 3, 1),
    (16, 128, 128, 3, 1),
    (14, 256, 256, 3, 1),
    (7, 512, 512, 3, 1),
    (32, 32, 32, 3, 1),
    (24, 96, 96, 3, 1),
    (32, 64, 128, 3, 2),
    (32, 64, 64, 1, 1),
    (16, 128, 128, 1, 1),
    (14, 256, 256, 1, 1),
    (7, 512, 512, 1, 1),
]


@dataclass(frozen=True)
class Instruction:
    """One line of a disassembly; `target` of a branch, else None."""

    address: int
    text: str
    target: int | None

    def counts_bits(self) -> bool:
        return self.text.startswith("cnt")


def run(*command: str | Path) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def functions(binary: Path) -> list[tuple[str, list[Instruction]]]:
    """The functions of a binary that count bits: name (not unique) and body."""
    found: list[tuple[str, list[Instruction]]] = []
    for line in run("aarch64-linux-gnu-objdump", "-d", "-C", "--no-show-raw-insn", binary).splitlines():
        if header := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            found.append((header[1], []))
        elif match := re.match(r"\s*([0-9a-f]+):\s+(.*)", line):
            text = match[2].split("//")[0].strip()
            branch = re.match(r"(?:b|b\.\w+|cbn?z|tbn?z)\s.*?([0-9a-f]+) <", text)
            target = int(branch[1], 16) if branch else None
            found[-1][1].append(Instruction(int(match[1], 16), text.replace("\t", " "), target))
    return [(name, body) for name, body in found if any(i.counts_bits() for i in body) and "edgebnn" in name]


def counting_blocks(body: list[Instruction]) -> list[list[Instruction]]:
    """The basic blocks of a function in which bits are counted."""
    targets = {i.target for i in body if i.target is not None}
    blocks: list[list[Instruction]] = [[]]
    for instruction in body:
        if instruction.address in targets:
            blocks.append([])
        blocks[-1].append(instruction)
        if instruction.target is not None or instruction.text.startswith(("ret", "br ")):
            blocks.append([])
    return [block for block in blocks if sum(i.counts_bits() for i in block) >= 4]


def loops_to_itself(block: list[Instruction]) -> bool:
    return block[-1].target == block[0].address


def cycles(mca: str, block: list[Instruction], core: str) -> float:
    """Cycles of one pass through a loop's body in the steady state."""
    return cycles_of(mca, [re.sub(r"[0-9a-f]+ <.*", "loop", i.text) for i in block], core)


def cycles_of(mca: str, body: list[str], core: str) -> float:
    text = "loop:\n" + "\n".join(body) + "\n"
    command = [mca, "-mtriple=aarch64", f"-mcpu={core}", "-mattr=+neon", "-iterations=400", "-"]
    report = subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Total Cycles:\s+(\d+)", report)
    assert found, report
    return int(found[1]) / 400


def tiles(binary: Path, variant: str, mca: str, qemu_cpu: str) -> list[str]:
    """Between the stores of a tile and the first widening (USHLL) of the next lie that tile's sums."""
    text = {i.address: i.text for _, body in functions(binary) for i in body}
    lines = ["| filter, channels | instructions | " + " | ".join(f"{core} MAC/cycle" for core in CORES) + " |"]
    lines.append("|---|---|" + "---|" * len(CORES))
    for kernel, channels in TILES:
        shape = [str(n) for n in (16, channels, 8, kernel, 1, 0, 1)]
        seen: Counter[tuple[int, ...]] = Counter()
        current: list[int] | None = None
        for address in trace(binary, qemu_cpu, [variant, *shape]):
            if (instruction := text.get(address)) is None or instruction.startswith(("stp q", "str q", "ret")):
                current = []
            elif current is not None and instruction.startswith(("ushll", "shll")):
                if any(text[i].startswith("cnt") for i in current):
                    seen[tuple(current)] += 1
                current = None
            elif current is not None:
                current.append(address)
        (block, _), *_ = seen.most_common(1)
        body = [re.sub(r"[0-9a-f]+ <.*", "loop", text[address]) for address in block]
        macs = 8 * 8 * kernel * kernel * channels
        figures = [f"{macs / cycles_of(mca, body, core):.1f}" for core in CORES.values()]
        lines.append(f"| {kernel}x{kernel}, {channels} | {len(body)} | " + " | ".join(figures) + " |")
    return lines


def inner_loops(binary: Path, mca: str) -> list[str]:
    lines = ["| loop | instructions | " + " | ".join(f"{core} MAC/cycle" for core in CORES) + " |"]
    lines.append("|---|---|" + "---|" * len(CORES))
    for name, body in functions(binary):
        for block in counting_blocks(body):
            if not loops_to_itself(block):
                continue
            macs = BITS * sum(i.counts_bits() for i in block)
            figures = [f"{macs / cycles(mca, block, core):.1f}" for core in CORES.values()]
            lines.append(f"| {short(name)} | {len(block)} | " + " | ".join(figures) + " |")
    return lines


def short(name: str) -> str:
    return re.sub(
        r"\(.*", "", name.replace("(anonymous namespace)::", "").replace("edgebnn::", "").removeprefix("void ")
    )


def trace(binary: Path, qemu_cpu: str, arguments: list[str]) -> list[int]:
    """The addresses of a run, in order."""
    command = ["qemu-aarch64-static", "-cpu", qemu_cpu, "-singlestep", "-d", "exec,nochain", "-D", "/dev/stderr"]
    done = subprocess.run(
        [*command, str(binary), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True
    )
    return [int(line.split(b"/", 2)[1], 16) for line in done.stderr.splitlines() if line.startswith(b"Trace ")]


def executed(binary: Path, qemu_cpu: str, arguments: list[str]) -> tuple[str, Counter[int]]:
    """What a run prints, and how often each address was executed."""
    command = ["qemu-aarch64-static", "-cpu", qemu_cpu, "-singlestep", "-d", "exec,nochain", "-D", "/dev/stderr"]
    process = subprocess.Popen(
        [*command, str(binary), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1 << 20
    )
    assert process.stderr and process.stdout
    count: Counter[bytes] = Counter()
    count.update(line.split(b"/", 2)[1] for line in process.stderr if line.startswith(b"Trace "))
    printed = process.stdout.read().decode().strip()
    assert process.wait() == 0, printed
    return printed, Counter({int(address, 16): n for address, n in count.items()})


def symbols(binary: Path) -> tuple[list[int], list[str]]:
    rows = [line.split(maxsplit=2) for line in run("aarch64-linux-gnu-nm", "-n", "-C", binary).splitlines()]
    rows = [row for row in rows if len(row) == 3 and row[1] in "tTwWiu" and not row[2].startswith("$")]
    return [int(row[0], 16) for row in rows], [row[2] for row in rows]


def layers(binary: Path, variant: str, qemu_cpu: str, form: int, *, detail: bool) -> list[str]:
    blocks = [block for _, body in functions(binary) for block in counting_blocks(body)]
    inner = {i.address for block in blocks for i in block}
    starts, names = symbols(binary)
    lines = ["| layer | variant | convolution | its inner loop | convolution / inner | with LceQuantize / inner |"]
    lines.append("|---|---|---|---|---|---|")
    for size, channels_in, channels_out, kernel, stride in LAYERS:
        shape = [str(n) for n in (size, channels_in, channels_out, kernel, stride, form)]
        printed, once = executed(binary, qemu_cpu, [variant, *shape, "1"])
        _, twice = executed(binary, qemu_cpu, [variant, *shape, "2"])
        twice.subtract(once)
        by_name: Counter[str] = Counter()
        for address, n in twice.items():
            by_name[short(names[bisect_right(starts, address) - 1])] += n
        quantize = sum(n for name, n in by_name.items() if name in ("Float32", "Quantize"))
        total, hot = sum(twice.values()), sum(n for address, n in twice.items() if address in inner)
        conv = total - quantize
        ratios = f"{conv / hot:.3f} | {total / hot:.3f}" if hot else "portable code | portable code"
        layer = f"{kernel}x{kernel} {channels_in} -> {channels_out} at {size}" + (f", stride {stride}" * (stride > 1))
        lines.append(f"| {layer} | {printed} | {conv:,} | {hot:,} | {ratios} |")
        if detail:
            lines += [f"  {name}: {n:,}" for name, n in by_name.most_common(8)]
    return lines


def build(folder: Path, compiler: str) -> Path:
    """The kernels and measure_layer.cc as a static program."""
    objects = folder / "kernels"
    toolchain = ROOT / "tests/pi/aarch64-linux-gnu.cmake"
    run("cmake", "-S", ROOT / "edgebnn/delegate", "-B", objects, f"-DCMAKE_TOOLCHAIN_FILE={toolchain}")
    run("cmake", "--build", objects, "--target", "edgebnn_kernels", "-j2")
    program = folder / "measure_layer"
    sources: list[str | Path] = [ROOT / "tests/pi/measure_layer.cc", *objects.rglob("*.o")]
    flags: list[str | Path] = ["-std=c++17", "-O2", "-static", "-no-pie", "-I", ROOT / "edgebnn/delegate"]
    run(compiler, *flags, *sources, "-o", program, "-pthread")
    return program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mca", default="llvm-mca-19")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "measure")
    parser.add_argument("--compiler", default="aarch64-linux-gnu-g++", help="links the program")
    parser.add_argument("--variant", default="auto")
    parser.add_argument("--cpu", default="cortex-a72", help="QEMU_CPU of the layers")
    parser.add_argument("--form", type=int, default=0, help="0 float32, 1 int8, 2 bits")
    parser.add_argument("--detail", action="store_true", help="executed instructions by function")
    parser.add_argument("--loops-only", action="store_true")
    options = parser.parse_args()
    options.build.mkdir(parents=True, exist_ok=True)
    program = build(options.build, options.compiler)
    print("\n".join(inner_loops(program, options.mca)), flush=True)
    print()
    print("\n".join(tiles(program, options.variant, options.mca, options.cpu)), flush=True)
    if not options.loops_only:
        print()
        print("\n".join(layers(program, options.variant, options.cpu, options.form, detail=options.detail)))


if __name__ == "__main__":
    main()
