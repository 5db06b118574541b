"""Keys and values of the decoder's past steps, in memory that doubles when it is full.

transformers' DynamicCache copies everything at every step (a quarter of the time of synthesis on a CPU), and its
StaticCache has attention look at the room that is still empty.
Shapes: B utterances, H heads, L steps, K head width.
"""

from torch import Tensor

FIRST_ROOM = 256  # steps


class KeyValueCache:
    """What the decoder asks of a cache; each layer appends its own steps."""

    def __init__(self):
        self.rooms: list[tuple[Tensor, Tensor]] = []  # of each layer
        self.lengths: list[int] = []

    def get_seq_length(self) -> int:
        """Steps held, asked before the layers append theirs."""
        return self.lengths[0] if self.lengths else 0

    def update(self, key_BHLK: Tensor, value_BHLK: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Append to a layer; returns all its keys and values so far, as views."""
        if layer == len(self.rooms):
            self.rooms.append((_room(key_BHLK, FIRST_ROOM), _room(value_BHLK, FIRST_ROOM)))
            self.lengths.append(0)
        start, end = self.lengths[layer], self.lengths[layer] + key_BHLK.shape[2]
        while self.rooms[layer][0].shape[2] < end:
            self.rooms[layer] = tuple(_doubled(room, start) for room in self.rooms[layer])
        for room, new in zip(self.rooms[layer], (key_BHLK, value_BHLK), strict=True):
            room[:, :, start:end] = new
        self.lengths[layer] = end
        keys, values = self.rooms[layer]
        return keys[:, :, :end], values[:, :, :end]


def _room(like_BHLK: Tensor, steps: int) -> Tensor:
    batch, heads, _, width = like_BHLK.shape
    return like_BHLK.new_empty(batch, heads, steps, width)


def _doubled(room_BHLK: Tensor, filled: int) -> Tensor:
    larger = _room(room_BHLK, 2 * room_BHLK.shape[2])
    larger[:, :, :filled] = room_BHLK[:, :, :filled]
    return larger
