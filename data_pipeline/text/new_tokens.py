"""What a corpus writes and a trained model's vocabulary has no token for, to be appended in fine-tuning."""

from collections import Counter
from itertools import islice

from data_pipeline.errors import UserError
from data_pipeline.languages import language_token
from data_pipeline.reading.sources import Source
from data_pipeline.text.tokens import Vocabulary, normalize_text

ROWS_READ = 2000  # a corpus can be endless, and its rows large
FEWEST_UTTERANCES = 5  # that hold a character: with fewer its row would hardly be trained, and it stays bytes


def new_tokens(
    vocabulary: Vocabulary, source: Source, language: str | None, exclude: frozenset[str] = frozenset()
) -> list[str]:
    """Languages, then characters by code point, that FEWEST_UTTERANCES of the corpus' first rows have and the
    vocabulary has not. No audio is decoded; broken rows are left to the loader, which lists them.

    language: of rows that name none. exclude: ids of rows that are left out.
    """
    seen: Counter[str] = Counter()
    for row in islice(source.rows(), ROWS_READ):
        try:
            utterance = source.to_utterance(row)
            if utterance.id in exclude:
                continue
            spoken_in = utterance.language or language
            text = vocabulary.spoken(normalize_text(utterance.text, spoken_in), spoken_in)
        except UserError:
            continue
        seen.update(set(text))
        seen.update(filter(None, [language_token(spoken_in)]))
    often = {token for token, utterances in seen.items() if utterances >= FEWEST_UTTERANCES}
    return sorted(often - set(vocabulary.tokens), key=lambda token: (len(token) == 1, token))
