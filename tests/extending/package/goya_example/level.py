from dataclasses import replace

from training.config.levels import ENHANCED

GENTLE = replace(ENHANCED, lr=4e-5, clip_norm=0.5, more=ENHANCED.more | {"train.ema_decay": 0.99})
