"""What benchmarks/quality/cloning.py says of the voices that it judged: cosines, shares, tables.

Shapes: V voices, K speeches of each, E embedding's width, O other persons' clips.
"""

import numpy as np

from benchmarks.report import page_block

SENTENCES = 5  # that each voice speaks

# Figure -> (what a reader is told, how it is shown). The order of the README's table.
SHOWN = {
    "voices_seen": ("voices seen in training", "{:.0f}"),
    "voices_unseen": ("voices not seen in training", "{:.0f}"),
    "similarity_seen": ("cosine of speech to the cloned clip, voices seen", "{:.3f}"),
    "similarity_unseen": ("cosine of speech to the cloned clip, voices not seen", "{:.3f}"),
    "similarity_other": ("cosine of speech to the clips of other voices, mean", "{:.3f}"),
    "similarity_nearest_other": ("cosine of speech to the nearest other voice's clip", "{:.3f}"),
    "similarity_recorded": ("cosine of other recordings of a voice to its clip", "{:.3f}"),
    "similarity_vocoded": ("the same, through mel and Griffin-Lim", "{:.3f}"),
    "similarity_prompted_seen": ("cosine to an English clip whose text was given, voices seen", "{:.3f}"),
    "similarity_prompted_unseen": ("cosine to an English clip whose text was given, voices not seen", "{:.3f}"),
    "top1_seen": ("the cloned clip is the nearest of all, voices seen", "{:.0%}"),
    "top1_unseen": ("the cloned clip is the nearest of all, voices not seen", "{:.0%}"),
    "top1_recorded": ("the same for other recordings of a voice", "{:.0%}"),
    "cer_seen": ("CER of cloned speech, voices seen", "{:.1%}"),
    "cer_unseen": ("CER of cloned speech, voices not seen", "{:.1%}"),
}


def compared(
    speech_VKE: np.ndarray, clips_VE: np.ndarray, persons: list[str], voices: list[int] | None = None
) -> list[dict]:
    """For each of V voices, K cosines of its speech: to its own clip, the mean and the highest to other persons' clips.

    Embeddings have unit length. first: whether its own clip is the nearest. voices: of the speech, where it is not
    that of all whose clips these are.
    """
    found = []
    for speech_KE, voice in zip(speech_VKE, range(len(persons)) if voices is None else voices, strict=True):
        is_other = np.array([other != persons[voice] for other in persons])
        cosine_KV = speech_KE @ clips_VE.T
        own_K, others_KO = cosine_KV[:, voice], cosine_KV[:, is_other]
        found.append(
            {
                "own": own_K.tolist(),
                "others": others_KO.mean(1).tolist(),
                "nearest_other": others_KO.max(1).tolist(),
                "first": (own_K > others_KO.max(1)).tolist(),
            }
        )
    return found


def figures(voices: list[dict]) -> dict[str, float]:
    """The means over the voices, of those seen in training and of those not."""
    parts = {part: [one for one in voices if one["kind"].startswith(part)] for part in ("seen", "unseen")}
    found = {}
    for part, ones in parts.items():
        found |= {
            f"voices_{part}": len(ones),
            f"similarity_{part}": mean(ones, "speech", "own"),
            f"top1_{part}": mean(ones, "speech", "first"),
            f"cer_{part}": float(np.mean([one["cer"] for one in ones])),
        }
        if prompted := [one for one in ones if "prompted" in one]:
            found[f"similarity_prompted_{part}"] = mean(prompted, "prompted", "own")
    return found | {
        "similarity_other": mean(voices, "speech", "others"),
        "similarity_nearest_other": mean(voices, "speech", "nearest_other"),
        "similarity_recorded": mean(voices, "recorded", "own"),
        "similarity_vocoded": mean(voices, "vocoded", "own"),
        "top1_recorded": mean(voices, "recorded", "first"),
    }


def mean(voices: list[dict], what: str, of: str) -> float:
    return float(np.mean([one[what][of] for one in voices]))


def by_speaker(voices: list[dict]) -> dict[str, dict[str, float]]:
    """Speaker and language, with the voices made of it -> how many, and the mean cosines of their speech."""
    speakers = {one["name"].partition(" ")[0]: [] for one in voices}
    for one in voices:
        speakers[one["name"].partition(" ")[0]].append(one)
    return {
        speaker: {
            "voices": len(ones),
            "own": mean(ones, "speech", "own"),
            "others": mean(ones, "speech", "others"),
            "recorded": mean(ones, "recorded", "own"),
        }
        for speaker, ones in speakers.items()
    }


def by_kind(voices: list[dict]) -> dict[str, dict[str, float]]:
    """Kind of voice -> column of the table -> value."""
    kinds = sorted({one["kind"] for one in voices})
    groups = {kind: [one for one in voices if one["kind"] == kind] for kind in kinds}
    return {
        kind: {
            "voices": len(ones),
            "own": mean(ones, "speech", "own"),
            "others": mean(ones, "speech", "others"),
            "nearest": mean(ones, "speech", "nearest_other"),
            "top 1": mean(ones, "speech", "first"),
            "CER": float(np.mean([one["cer"] for one in ones])),
            "recorded": mean(ones, "recorded", "own"),
            "vocoded": mean(ones, "vocoded", "own"),
            "their top 1": mean(ones, "recorded", "first"),
        }
        for kind, ones in groups.items()
    }


def table(results: dict) -> str:
    """A line a kind of voice, then the figures."""
    kinds = results["by_kind"]
    columns = list(next(iter(kinds.values())))
    lines = [f"{'cosine of speech to':<18}" + "".join(f"{name:>12}" for name in columns)]
    for kind, values in kinds.items():
        lines.append(f"{kind:<18}" + "".join(f"{value:>12.3g}" for value in values.values()))
    width = max(map(len, results["figures"]))
    lines += [f"{name:<{width}}  {value:>8.3f}" for name, value in results["figures"].items()]
    return "\n".join(lines)


def block(results: dict) -> str:
    """The figures as a markdown table."""
    found = results["figures"]
    recorded = sum(one["kind"].endswith("recorded") for one in results["voices"])
    said = (
        f"`python -m benchmarks.quality.cloning --packages debs --librispeech folder`. {recorded} of the voices are as "
        "recorded; the others are made of these by moving formants and pitch. Size tiny, "
        f"{results['trained_on']}; 5 s of each voice speak {SENTENCES} English sentences. "
        f"Cosine of Resemblyzer's embeddings. {page_block.source(results, 'cloning')}"
    )
    groups = []
    for label, ones in by_acquaintance(results["voices"]).items():
        groups.append(group_row(label, ones, "speech", "cer"))
        if all("prompted" in one for one in ones):
            groups.append(group_row(f"{label}, the clip's text given", ones, "prompted", "cer_prompted"))
    table = "\n".join(groups)
    return (
        f"{said}\n\n{page_block.rows(page_block.shown(found, SHOWN))}\n\n"
        "| as recorded, English speech of who (and the clip's language) | voices | cosine to the clip | to others "
        f"| nearest of all | CER | cosine of recordings |\n|---|---|---|---|---|---|---|\n{table}"
    )


def group_row(label: str, ones: list[dict], what: str, cer: str) -> str:
    return (
        f"| {label} | {len(ones)} | {mean(ones, what, 'own'):.3f} | {mean(ones, what, 'others'):.3f} | "
        f"{mean(ones, what, 'first'):.0%} | {np.mean([one[cer] for one in ones]):.1%} | "
        f"{mean(ones, 'recorded', 'own'):.3f} |"
    )


def by_acquaintance(voices: list[dict]) -> dict[str, list[dict]]:
    """The recorded voices by what training heard of them; groups without any are left out."""
    recorded = [one for one in voices if one["kind"].endswith("recorded")]
    seen = [one for one in recorded if one["kind"].startswith("seen")]
    groups: dict[str, list[dict]] = {}
    for heard, ones in (("was heard in training", seen), ("was never heard", [v for v in recorded if v not in seen])):
        groups[f"{heard}, in English"] = [one for one in ones if one["name"].endswith("-en")]
        groups[f"{heard}, in another language"] = [one for one in ones if not one["name"].endswith("-en")]
    return {label: ones for label, ones in groups.items() if ones}
