"""Every command of README.md and docs/:  python usage_examples.py               lists them
                                      python usage_examples.py --run ljspeech  runs one, small
                                      python usage_examples.py --run ljspeech --whole

Small: a command that trains gets --debug, and is done in half a minute; --whole runs what the page says. What follows
a name is added to its command. The commands about data use small corpora in my_data/, one of each format, made out of
the demo corpus by `python usage_examples.py --make-data my_data`.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
DEMO_RUN, MANA_RUN = "runs/demo_corpus_tiny_enhanced", "runs/mana"
TRAIN = "accelerate launch train_main.py"
FINE_TUNE = f"{TRAIN} --init-from {DEMO_RUN} --train-data my_data/seed --language en"
SPEAK = f"python synthesize.py {DEMO_RUN}"
EXAMPLE_ROWS = 100  # of each corpus in my_data/: enough that some of any of them is held out

# Group -> name -> command.
EXAMPLES: dict[str, dict[str, str]] = {
    "set-up": {
        "train": f"pip install -c .ci/lock.txt -e . && {TRAIN} --optimization-level enhanced",
        "test": 'pip install -c .ci/lock.txt -e ".[dev,eval,web]" && pytest',
        "debug": f"{TRAIN} --debug",
    },
    "speech": {
        "speak": f'{SPEAK} --text "Thank you for calling." --out hello.wav',
        "spanish": f'{SPEAK} --text "Gracias por llamar." --language es --voice allison --out gracias.wav',
        "clone": f'{SPEAK} --text "This voice is cloned." --reference my_data/clip.opus --out clone.wav',
        "clone_and_go_on": f'{SPEAK} --text "This goes on from the clip." --reference my_data/clip2.opus '
        '--reference-text "Press 2 to change folders, press 3 for advanced options, press zero for mailbox options." '
        "--out clone3.wav",
        "griffin_lim": f'{SPEAK} --text "Please hold." --vocoder griffin_lim --out hold.wav',
        "clone_of_several": f'{SPEAK} --text "Two clips of one voice." --reference my_data/clip.opus '
        "--reference my_data/clip2.opus --out clone2.wav",
        "long_text": f"{SPEAK} --text-file my_data/long.txt --out long.wav",
        "stream": f'{SPEAK} --text "I can hear you at once." --stream --out - '
        "| ffplay -f s16le -ar 22050 -nodisp -autoexit -",
        "standard_input": f'echo "One moment please." | {SPEAK} --picture moment.png --out moment.wav',
        "listen": f'pip install -e ".[web]" && python listen.py {DEMO_RUN}',
        "curves": "tensorboard --logdir runs",
    },
    "data": {
        "make_data": "python usage_examples.py --make-data my_data",
        "seed": f"{TRAIN} --train-data my_data/seed --language en",
        "ljspeech": f"{TRAIN} --train-data my_data/ljspeech --language en",
        "audiofolder": f"{TRAIN} --train-data my_data/audiofolder --language en",
        "csv": f"{TRAIN} --train-data my_data/csv/train.csv --language en",
        "jsonl": f"{TRAIN} --train-data my_data/jsonl/train.jsonl --language en",
        "parquet": f"{TRAIN} --train-data my_data/parquet/train.parquet",
        "webdataset": f'{TRAIN} --train-data "my_data/webdataset/*.tar" --language en',
        "hub": f"{TRAIN} --train-data MahtaFetrat/Mana-TTS --language fa",
        "samples": f"{TRAIN} --train-data my_data/samples/train.parquet --language en",
        "columns": f"{TRAIN} --train-data my_data/columns/rows.csv "
        "--text-column words --audio-column clip --speaker-column who --language en",
        "speaker_balance": f"{TRAIN} --train-data assets/demo_corpus --set data.speaker_balance=0.5",
        "val_data": f"{TRAIN} --train-data my_data/csv/train.csv --val-data my_data/parquet/train.parquet "
        "--language en",
    },
    "checking data": {
        "check": "python train_main.py --train-data my_data/seed --language en --check-data",
        "check_here": "python train_main.py --train-data my_data/seed --language en --check-data my_check",
        "exclude": f"{TRAIN} --train-data my_data/seed --language en --exclude-list my_check/exclude.tsv",
        "check_by_model": f"python train_main.py --train-data my_data/seed --language en --init-from {DEMO_RUN} "
        "--check-data my_check",
    },
    "levels": {
        "basic": f"{TRAIN} --train-data my_data/seed --language en --optimization-level basic",
        "fast": f"{TRAIN} --train-data my_data/seed --language en --apply-fast-convergence",
    },
    "phonemes": {
        "install_espeak": 'pip install -e ".[espeak]"',
        "train_espeak": f"{TRAIN} --train-data my_data/seed --language en --set data.text_units=espeak",
    },
    "text": {
        "show_text": 'python train_main.py --show-text "Dr. Lee, 9:05, €5.25, since 1999" --language en',
        "show_text_of_run": f'python train_main.py --show-text "Call 555-1234." --language en --init-from {DEMO_RUN}',
        "show_lines": "python train_main.py --show-text - --language en < my_data/long.txt",
        "show_persian": 'python train_main.py --show-text "ساعت ۱۲:۳۰ کتاب خواندم." --language fa',
        "mana": f"{TRAIN} --train-data MahtaFetrat/Mana-TTS --language fa "
        f"--set data.text_units=espeak --checkpoint-dir {MANA_RUN}",
        "mana_speaks": f"python synthesize.py {MANA_RUN} "
        '--text "سلام، امروز ۱۵ مهر است." --language fa --out salam.wav',
    },
    "fine-tuning": {
        "fine_tune": FINE_TUNE,
        "freeze": f"{FINE_TUNE} --freeze decoder.layers,decoder.postnet",
        "install_lora": 'pip install -e ".[lora]"',
        "lora": f"{FINE_TUNE} --lora-rank 16",
    },
    "the Hub": {
        "hub_login": "hf auth login",
        "push": f"{TRAIN} --train-data my_data/seed --language en --push-to-hub OWNER/NAME",
        "push_branch": f"{TRAIN} --train-data my_data/seed --language en --push-to-hub OWNER/NAME --hub-branch slow "
        "--lr 1e-4 --checkpoint-dir runs/slow --public",
        "resume_from_hub": f"{TRAIN} --train-data my_data/seed --language en --resume-from-hub OWNER/NAME "
        "--push-to-hub OWNER/NAME",
    },
    "speaker augmentation": {
        "install_speaker_augmentation": 'pip install -e ".[speaker-augmentation]"',
        "train_speaker_augmentation": f"{TRAIN} --train-data my_data/seed --language en "
        "--set data.speaker_augmentation=24",
    },
    "settings": {
        "help": "python train_main.py --help",
        "completion": "pip install shtab && "
        "shtab --shell bash --prog goya-train training.config.arguments.build_parser > goya-train.bash && "
        "source goya-train.bash",
        "print_config": "python train_main.py --print-config > my_run.yaml",
        "config": f"{TRAIN} --config my_run.yaml --checkpoint-dir runs/my_run --set loss.kl_weight=0.5",
    },
    "callbacks of your own": {
        "callback": f"{TRAIN} --callback my_callbacks:StopAtMel",
        "callback_arguments": f'{TRAIN} --set "train.callbacks={{my_callbacks:StopAtMel: {{target: 0.3}}}}"',
    },
    "hardware": {
        "large_gpu": f"{TRAIN} --batch-size 64 --grad-accum 1 --num-workers 16",
        "small_gpu": f"{TRAIN} --batch-size 8 --grad-accum 8 --num-workers 4",
        "one": "accelerate launch --config_file accelerate_configs/one.yaml train_main.py",
        "single_gpu": "accelerate launch --config_file accelerate_configs/single_gpu.yaml train_main.py",
        "ddp": "accelerate launch --config_file accelerate_configs/ddp.yaml --num_processes 4 train_main.py",
        "fsdp2": "accelerate launch --config_file accelerate_configs/fsdp2.yaml --num_processes 4 train_main.py "
        "--model-size big",
        "multi_node": "accelerate launch --config_file accelerate_configs/multi_node.yaml --num_processes 16 "
        "--main_process_ip 10.0.0.1 --machine_rank 0 train_main.py",
        "torchrun": "torchrun --nproc-per-node 4 train_main.py --train-data my_data/seed --language en",
        "slurm": "sbatch --nodes 2 --gpus-per-node 8 accelerate_configs/slurm.sbatch --train-data my_data/seed "
        "--language en",
        "cpu_2proc": "ACCELERATE_USE_CPU=true accelerate launch "
        "--config_file accelerate_configs/cpu_2proc.yaml train_main.py --debug",
    },
    "going on": {
        "resume": f"{TRAIN} --max-minutes 30",
        "start_over": f"{TRAIN} --optimization-level enhanced --reset-training",
        "export": f"python -m training.export {DEMO_RUN} exported",
    },
    "when something is wrong": {
        "less_memory": f"{TRAIN} --batch-size 4 --grad-accum 8 --set model.gradient_checkpointing=true",
        "plain": f"{TRAIN} --mixed-precision no --set train.early_stopping=false",
    },
    "measurements": {
        "convergence": "python -m benchmarks.quality.convergence",
        "fast_convergence": "python -m benchmarks.quality.fast_convergence",
        "ablation": "python -m benchmarks.quality.ablation",
        "improvements": "python -m benchmarks.report.improvements",
        "headline": "python -m benchmarks.report.headline",
        "pages": "python -m benchmarks.report.pages",
        "loop_speed": "python -m benchmarks.speed.loop_speed",
        "step_speed": "python -m benchmarks.speed.step_speed",
        "ranks": "python -m benchmarks.speed.ranks",
        "peers": "python -m benchmarks.quality.peers",
        "data_speed": "python -m benchmarks.speed.data_speed",
        "scale": "python -m benchmarks.speed.scale",
        "speed": "python -m benchmarks.report.speed_figures",
        "bad_inputs": "python -m benchmarks.reliability.bad_inputs",
        "hub_faults": "python -m benchmarks.reliability.hub_faults",
        "front_door": "python -m benchmarks.quality.front_door",
        "front_door_docs": "python -m benchmarks.quality.front_door --docs",
        "sound_samples": "python -m benchmarks.quality.sound_samples runs/main_job/seed-1234",
        "main_job": "python -m benchmarks.quality.main_job",
        "main_job_docs": "python -m benchmarks.quality.main_job --docs",
        "synthesis_speed": "python -m benchmarks.speed.synthesis_speed",
        "voice": "python -m benchmarks.quality.voice runs/main_job/seed-1234 runs/main_job/seed-1 runs/main_job/seed-2",
        "voice_docs": "python -m benchmarks.quality.voice --docs",
        "exactness": "python -m benchmarks.reliability.exactness",
        "exactness_docs": "python -m benchmarks.reliability.exactness --docs",
        "fine_tuning": f"python -m benchmarks.quality.fine_tuning --base {DEMO_RUN} --packages FOLDER_OF_THE_DEBS",
        "fine_tuning_docs": "python -m benchmarks.quality.fine_tuning --docs",
        "languages": f"python -m benchmarks.quality.languages --base {DEMO_RUN} --packages FOLDER_OF_THE_DEBS",
        "languages_docs": "python -m benchmarks.quality.languages --docs",
        "cloning": "python -m benchmarks.quality.cloning --packages FOLDER_OF_THE_DEBS "
        "--librispeech FOLDER_OF_LIBRISPEECH",
        "cloning_docs": "python -m benchmarks.quality.cloning --docs",
    },
}
TRAINS = re.compile(r"(accelerate launch|torchrun) .*train_main\.py(?!.* --debug)")
COMMANDS = {name: command for group in EXAMPLES.values() for name, command in group.items()}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="usage_examples.py", description="The commands of README.md and docs/.")
    parser.add_argument("--run", choices=COMMANDS, metavar="NAME", help="run one; more words are added to it")
    parser.add_argument("--whole", action="store_true", help="run a training command as it is, not with --debug")
    parser.add_argument("--make-data", metavar="FOLDER", help="write a small corpus of each format there")
    arguments, more = parser.parse_known_args(argv)
    if more and not arguments.run:
        parser.error(f"unknown: {' '.join(more)}")
    if arguments.make_data:
        make_data(Path(arguments.make_data))
    elif arguments.run:
        command = COMMANDS[arguments.run]
        # A run that starts from a model has that model's size, which --debug would change.
        small = ["--debug"] if TRAINS.search(command) and "--init-from" not in command and not arguments.whole else []
        command = " ".join([command, *small, *more])
        print(f"$ {command}", flush=True)
        # So that python, pip and accelerate are those of this interpreter's environment, activated or not.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        return subprocess.run(command, shell=True, cwd=ROOT, env=os.environ | {"PATH": path}).returncode
    else:
        for group, examples in EXAMPLES.items():
            print(f"{group}:")
            for name, command in examples.items():
                print(f"  {name:<16} {command}")
    return 0


# Corpora to try the data formats with: writer(folder, rows of the demo corpus)


def make_data(folder: Path) -> None:
    """One corpus for each of WRITERS in `folder`, two clips to clone and a text to read. What is there is replaced."""
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(ROOT / "assets" / "demo_corpus" / "train-en.parquet").to_pylist()
    chosen = [row for row in rows if row["duration_s"] >= 1.5][:EXAMPLE_ROWS]
    rows = [row | {"name": row["id"].replace("/", "-")} for row in chosen]
    for kind, write in WRITERS.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        write(folder / kind, rows)
    clips = [row for row in rows if row["duration_s"] >= 4]
    for name, clip in zip(("clip", "clip2"), clips, strict=False):
        (folder / f"{name}.opus").write_bytes(clip["audio"]["bytes"])
    paragraphs = (" ".join(row["text"] for row in part) for part in (rows[:9], rows[9:18]))
    write_lines(folder / "long.txt", ["\n\n".join(paragraphs)])
    print(f"Wrote 2 clips, long.txt and {len(rows)} recordings as each of: {', '.join(WRITERS)} in {folder}.")


def write_audio(folder: Path, rows: list[dict]) -> None:
    folder.mkdir(exist_ok=True)
    for row in rows:
        (folder / f"{row['name']}.opus").write_bytes(row["audio"]["bytes"])


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_table(path: Path, heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    import csv

    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([heading, *rows])


def write_seed(folder: Path, rows: list[dict]) -> None:
    write_audio(folder / "wavs", rows)
    for name, part in (("train", rows[10:]), ("eval", rows[:10])):
        lines = [f"wavs/{row['name']}.opus|{row['text']}|{row['speaker']}" for row in part]
        write_lines(folder / f"metadata_{name}.csv", ["audio_file|text|speaker_name", *lines])


def write_ljspeech(folder: Path, rows: list[dict]) -> None:
    write_audio(folder / "wavs", rows)
    write_lines(folder / "metadata.csv", [f"{row['name']}|{row['text']}|{row['text']}" for row in rows])


def write_audiofolder(folder: Path, rows: list[dict]) -> None:
    for name, part in (("train", rows[10:]), ("validation", rows[:10])):
        write_audio(folder / name, part)
        table = [(f"{row['name']}.opus", row["text"]) for row in part]
        write_table(folder / name / "metadata.csv", ("file_name", "transcription"), table)


def write_csv(folder: Path, rows: list[dict]) -> None:
    write_audio(folder / "clips", rows)
    table = [(f"{row['name']}.opus", row["text"], row["speaker"]) for row in rows]
    write_table(folder / "train.csv", ("path", "sentence", "speaker"), table)


def write_jsonl(folder: Path, rows: list[dict]) -> None:
    write_audio(folder / "audio", rows)
    objects = [{"audio": f"audio/{row['name']}.opus", "text": row["text"]} for row in rows]
    write_lines(folder / "train.jsonl", [json.dumps(one, ensure_ascii=False) for one in objects])


def write_parquet(folder: Path, rows: list[dict]) -> None:
    import pyarrow

    names = ("id", "text", "audio", "speaker", "language")
    table = pyarrow.Table.from_pylist([{name: row[name] for name in names} for row in rows])
    pyarrow.parquet.write_table(table, folder / "train.parquet")


def write_webdataset(folder: Path, rows: list[dict]) -> None:
    with tarfile.open(folder / "train-0000.tar", "w") as archive:
        for row in rows:
            for ending, content in (("opus", row["audio"]["bytes"]), ("txt", row["text"].encode())):
                member = tarfile.TarInfo(f"{row['name']}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def write_samples(folder: Path, rows: list[dict]) -> None:
    """As MahtaFetrat/Mana-TTS has it: the audio as a list of samples, its rate in another column."""
    import pyarrow
    import soundfile

    decoded = [soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32") for row in rows]
    columns = {
        "file name": [f"{row['name']}.wav" for row in rows],
        "transcript": [row["text"] for row in rows],
        "audio": [wave for wave, _ in decoded],
        "samplerate": [float(rate_hz) for _, rate_hz in decoded],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "train.parquet")


def write_columns(folder: Path, rows: list[dict]) -> None:
    write_audio(folder / "clips", rows)
    table = [(f"{row['name']}.opus", row["text"], row["speaker"]) for row in rows]
    write_table(folder / "rows.csv", ("clip", "words", "who"), table)


WRITERS: dict[str, Callable[[Path, list[dict]], None]] = {
    "seed": write_seed,
    "ljspeech": write_ljspeech,
    "audiofolder": write_audiofolder,
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
    "webdataset": write_webdataset,
    "samples": write_samples,
    "columns": write_columns,
}

if __name__ == "__main__":
    sys.exit(main())
