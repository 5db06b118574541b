"""The names of samples, as many files as there are sentences; and when they are spoken, by a clock the test sets."""

import time
from contextlib import nullcontext
from types import SimpleNamespace

from callbacks.audio_samples import AudioSamples, file_names


def test_ids_that_begin_alike_have_samples_of_their_own():
    start = "a" * 50
    ids = [f"{start}/1", f"{start}/2", start, "wavs/1", "wavs_1", "wavs/1", "ü?", "ü!", "x" * 300]
    names = file_names(ids)
    assert len(set(names)) == len(ids) and max(map(len, names)) < 60
    assert names[2:4] == [start, "wavs_1"]  # as ever, where they do
    assert file_names(ids) == names and file_names(["b", "a", "ab"]) == ["b", "a", "ab"]


def test_they_are_spoken_after_so_many_minutes_and_at_the_end(tmp_path, monkeypatch):
    clock, spoken = SimpleNamespace(now=1000.0), []
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    accelerator = SimpleNamespace(num_processes=1, is_main_process=True)
    shipped = SimpleNamespace(whole=lambda: nullcontext(None))  # as on a rank that does not speak itself
    callback = AudioSamples(accelerator, shipped, None, [], None, tmp_path, every_minutes=2.0)
    for step, now, logs in ((1, 1119.0, True), (2, 1120.0, False), (3, 1121.0, True), (4, 1240.0, True)):
        clock.now = now
        callback.on_step_end(None, SimpleNamespace(global_step=step), SimpleNamespace(should_log=logs))
        spoken.append(callback.step_spoken)
    assert spoken == [-1, -1, 3, 3]
    callback.on_train_end(None, SimpleNamespace(global_step=4), None)
    assert callback.step_spoken == 4
