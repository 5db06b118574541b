from training.config.levels import ENHANCED

GENTLE = ENHANCED | {"optim.lr": 4e-5, "optim.lr_vector": 4e-5, "optim.clip_norm": 0.5, "train.ema_decay": 0.99}
