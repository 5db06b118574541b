"""The voices that a run's model can be asked for by name."""

import numpy as np
import pytest

from inference.pretrained import load
from inference.voices import voice_of
from testing import small_runs
from training.setup import training_voices


@pytest.fixture(scope="module")
def trained():
    run, done = small_runs.trained_run()
    assert done.returncode == 0, done.stderr[-3000:]
    return load(str(run))


def test_a_model_knows_the_speakers_of_training_beside_those_of_validation(trained):
    model, _ = trained
    of_training = {f"{row['speaker']}-{row['language']}" for row in small_runs.rows()}
    assert of_training <= set(model.config.voices) and len(set(model.config.voices) - of_training) > 0


def test_such_a_voice_is_that_of_its_recordings(trained, tmp_path):
    """Of the first of them, by the weights that shipped."""
    model, processor = trained
    first = small_runs.rows()[0]
    its = [row for row in small_runs.rows() if row["speaker"] == first["speaker"]][: training_voices.CLIPS]
    clips = [tmp_path / f"{number}.ogg" for number, _ in enumerate(its)]
    for clip, row in zip(clips, its, strict=True):
        clip.write_bytes(row["audio"]["bytes"])
    cloned = voice_of(model, processor, list(map(str, clips)), None, "en")
    stored = np.array(model.config.voices[f"{first['speaker']}-{first['language']}"])
    assert np.abs(cloned.numpy() - stored).max() < 0.05
