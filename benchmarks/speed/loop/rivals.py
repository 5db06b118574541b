"""Other trainers. Each module is imported only by the one that measures it: pip install lightning coqui-tts-trainer."""

import tempfile

import torch

from benchmarks.speed.loop.bare import WARM_UP, Clock, Job, WithLoss

LOG_EVERY = 10  # steps, as this trainer


def hf_trainer(job: Job) -> float:
    """transformers.Trainer, seconds a step."""
    from transformers import Trainer, TrainerCallback, TrainingArguments

    clock = Clock(job)

    class Ticking(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            clock.tick()

    class Answering(WithLoss):
        def forward(self, **tensors):
            return {"loss": super().forward(**tensors)}

    module = Answering(job)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=WARM_UP + job.steps,
            per_device_train_batch_size=1,
            use_cpu=True,
            bf16=job.bf16,
            max_grad_norm=job.config.optim.clip_norm,
            logging_steps=LOG_EVERY,
            report_to="tensorboard",
            save_strategy="no",
            remove_unused_columns=False,
            disable_tqdm=True,
        )
        trainer = Trainer(
            module,
            arguments,
            data_collator=lambda batches: batches[0],
            train_dataset=list(job.tensors()),
            optimizers=(module.optimizer(), None),
            callbacks=[Ticking()],
        )
        trainer.train()
    return clock.seconds_a_step


def lightning(job: Job) -> float:
    """Lightning's Trainer, seconds a step."""
    import lightning
    from lightning.pytorch.loggers import TensorBoardLogger

    clock, module = Clock(job), WithLoss(job)

    class Learning(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.module = module

        def training_step(self, batch, index):
            loss = self.module(**batch)
            self.log("loss", loss, batch_size=1)
            return loss

        def configure_optimizers(self):
            return module.optimizer()

        def configure_gradient_clipping(self, *_, **__):
            # Its own refuses a fused optimizer under mixed precision, whether or not there is a scaler.
            torch.nn.utils.clip_grad_norm_(module.parameters(), job.config.optim.clip_norm)

        def on_train_batch_end(self, *_):
            clock.tick()

    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            accelerator="cpu",
            devices=1,
            max_steps=WARM_UP + job.steps,
            precision="bf16-mixed" if job.bf16 else "32-true",
            log_every_n_steps=LOG_EVERY,
            logger=TensorBoardLogger(folder),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        batches = torch.utils.data.DataLoader(list(job.tensors()), batch_size=None)
        trainer.fit(Learning(), batches)
    return clock.seconds_a_step


def coqui(job: Job) -> float:
    """coqui's Trainer, seconds a step."""
    from trainer import Trainer, TrainerArgs, TrainerConfig, TrainerModel

    clock = Clock(job)

    class Learning(TrainerModel):
        def __init__(self):
            super().__init__()
            self.module = WithLoss(job)

        def forward(self, x):
            return self.module(**x)

        def train_step(self, batch, criterion, optimizer_idx=None):
            return {"model_outputs": None}, {"loss": self.module(**batch)}

        def get_data_loader(self, config, *, is_eval=False, samples=None, verbose=True, **_):
            return torch.utils.data.DataLoader(list(job.tensors()), batch_size=None)

        def get_optimizer(self):
            return self.module.optimizer()

        def get_lr(self):
            return job.config.optim.lr

        def get_scheduler(self, optimizer):
            return None

        def get_criterion(self):
            return None

        def train_log(self, *_, **__):
            return None

        def on_train_step_end(self, trainer):
            clock.tick()

    with tempfile.TemporaryDirectory() as folder:
        config = TrainerConfig(
            epochs=1,
            run_eval=False,
            mixed_precision=job.bf16,
            precision="bf16",
            grad_clip=job.config.optim.clip_norm,
            print_step=LOG_EVERY,
            plot_step=LOG_EVERY,
            save_step=10**9,
            save_on_interrupt=False,
            save_checkpoints=False,
            print_eval=False,
            dashboard_logger="tensorboard",
        )
        trainer = Trainer(TrainerArgs(), config, output_path=folder, model=Learning(), train_samples=[0])
        trainer.fit()
    return clock.seconds_a_step
