"""The names of samples: as many files as there are sentences."""

from callbacks.audio_samples import file_names


def test_ids_that_begin_alike_have_samples_of_their_own():
    start = "a" * 50
    ids = [f"{start}/1", f"{start}/2", start, "wavs/1", "wavs_1", "wavs/1", "ü?", "ü!", "x" * 300]
    names = file_names(ids)
    assert len(set(names)) == len(ids) and max(map(len, names)) < 60
    assert names[2:4] == [start, "wavs_1"]  # as ever, where they do
    assert file_names(ids) == names
