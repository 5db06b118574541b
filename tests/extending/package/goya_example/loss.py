from modeling.layers import length_mask
from modeling.losses import Loss


def energy_sum(output, batch, shape):
    """L1 between the mean over channels of each predicted and recorded frame, summed over real frames."""
    each_BT = (output.mel_after_BTC - batch["mel"]).mean(-1).abs()
    return (each_BT * length_mask(batch["mel_lengths"], each_BT.shape[1])).sum()


def frames(batch, shape) -> int:
    return int(batch["mel_lengths"].sum())


ENERGY = Loss(energy_sum, frames)
