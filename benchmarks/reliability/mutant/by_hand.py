"""Mutants that were thought of: what each line is for, undone."""

from dataclasses import dataclass

EFFECT = "tests/training/test_settings_take_effect.py"


@dataclass(frozen=True)
class ByHand:
    """In `file`, `old` (which stands there once) becomes `new`; `tests` should fail."""

    file: str
    old: str
    new: str
    tests: str

    def applied(self, source: str) -> str | None:
        """The file's text with it; None where it no longer applies."""
        return source.replace(self.old, self.new) if source.count(self.old) == 1 else None


def _of_effect(test: str, file: str, old: str, new: str) -> ByHand:
    return ByHand(file, old, new, f"{EFFECT}::{test}")


SHAPE = "loss.mel_loss, loss.huber_delta, loss.mel_smoothing, loss.stop_smoothing"
BY_HAND = {
    "fsync skipped": _of_effect(
        "test_a_power_cut_after_the_rename_takes_nothing",
        "training/state/checksums.py",
        "        os.fsync(handle)",
        "        pass",
    ),
    "rotation in place": _of_effect(
        "test_a_kill_while_an_old_checkpoint_goes_leaves_no_half_of_one",
        "training/state/checkpoint.py",
        "    os.replace(path, doomed)\n    shutil.rmtree(doomed)",
        "    shutil.rmtree(path)",
    ),
    "mel_loss not handed on": _of_effect(
        "test_the_losses_are_formed_as_the_settings_say",
        "training/setup/building.py",
        SHAPE,
        SHAPE.replace("loss.mel_loss", '"huber"'),
    ),
    "huber_delta not handed on": _of_effect(
        "test_the_losses_are_formed_as_the_settings_say",
        "training/setup/building.py",
        SHAPE,
        SHAPE.replace("loss.huber_delta", "0.6"),
    ),
    "mel_smoothing not handed on": _of_effect(
        "test_the_losses_are_formed_as_the_settings_say",
        "training/setup/building.py",
        SHAPE,
        SHAPE.replace("loss.mel_smoothing", "0.0"),
    ),
    "stop_smoothing not handed on": _of_effect(
        "test_the_losses_are_formed_as_the_settings_say",
        "training/setup/building.py",
        SHAPE,
        SHAPE.replace("loss.stop_smoothing", "0.0"),
    ),
    "loss_smoothing unused by the guard": _of_effect(
        "test_running_means_take_the_share_that_the_settings_say",
        "callbacks/default.py",
        "SpikeGuard(\n        config.loss.loss_smoothing,",
        "SpikeGuard(\n        0.08,",
    ),
    "loss_smoothing unused by the weights": _of_effect(
        "test_running_means_take_the_share_that_the_settings_say",
        "callbacks/default.py",
        "trainer.base_weights,\n        loss.loss_smoothing,",
        "trainer.base_weights,\n        0.08,",
    ),
    "spike detection always off": _of_effect(
        "test_spikes_are_skipped_where_the_settings_say_so",
        "callbacks/default.py",
        "detect=train.spike_detection",
        "detect=False",
    ),
    "spike detection always on": _of_effect(
        "test_spikes_are_skipped_where_the_settings_say_so",
        "callbacks/default.py",
        "detect=train.spike_detection",
        "detect=True",
    ),
    "roll-back loads nothing": _of_effect(
        "test_a_roll_back_brings_the_weights_of_the_checkpoint_back",
        "training/loop/trainer.py",
        "            self.files.load(good)",
        "            pass",
    ),
    "clip norm ignored": _of_effect(
        "test_gradients_are_clipped_to_the_norm_that_the_settings_say",
        "training/loop/step.py",
        "clip_grad_norm_(model.parameters(), norm)",
        "clip_grad_norm_(model.parameters(), 1.0)",
    ),
    "restart_decay fixed": ByHand(
        "training/loop/schedule.py", "peak * optim.restart_decay", "peak * 0.8", "tests/training/loop/test_schedule.py"
    ),
    "pre-net dropout off": _of_effect(
        "test_the_prenet_drops_out_while_speech_is_learned_and_judged",
        "modeling/transformer_decoder.py",
        "self.probability, training=True)",
        "0.0, training=True)",
    ),
    "pre-net dropout off in validation": _of_effect(
        "test_the_prenet_drops_out_while_speech_is_learned_and_judged",
        "modeling/transformer_decoder.py",
        "self.probability, training=True)",
        "self.probability, training=self.training)",
    ),
    "validation of the mel before the post-net": _of_effect(
        "test_validation_measures_the_mel_that_is_heard",
        "training/loop/validation.py",
        "output.mel_after_BTC",
        "output.mel_before_BTC",
    ),
    "Python's random state not restored": _of_effect(
        "test_all_random_generators_go_on_where_they_were",
        "training/state/state_files.py",
        "    random.setstate((version, tuple(internal), gauss))",
        "    pass",
    ),
    "numpy's random state not restored": _of_effect(
        "test_all_random_generators_go_on_where_they_were",
        "training/state/state_files.py",
        "    np.random.set_state(",
        "    str(",
    ),
    "torch's random state not restored": _of_effect(
        "test_all_random_generators_go_on_where_they_were",
        "training/state/state_files.py",
        '    torch.set_rng_state(_bytes(state["torch"]))',
        "    pass",
    ),
    "floor of the rate ignored": ByHand(
        "callbacks/rate_schedule.py", "max(optim.lr_floor, ", "max(0.0, ", "tests/callbacks/test_schedules.py"
    ),
    "warm-up ignored": ByHand(
        "training/loop/schedule.py",
        "step / max(1, optim.warmup_steps)",
        "step / 1",
        "tests/training/loop/test_schedule.py",
    ),
    "multipliers not bounded": ByHand(
        "callbacks/adaptive_weights.py",
        "min(self.high, max(self.low, ",
        "min(99.0, max(0.0, ",
        "tests/callbacks/test_adaptive_weights.py",
    ),
    "the whole mean of a loss is the last": ByHand(
        "callbacks/adaptive_weights.py",
        "mean + self.smoothing * (value - mean)",
        "value",
        "tests/callbacks/test_adaptive_weights.py",
    ),
    "a spike of twice the mean is skipped": ByHand(
        "callbacks/spike_guard.py", "factor: float = 4.0", "factor: float = 2.0", "tests/callbacks/test_spike_guard.py"
    ),
    "patience of the spike guard": ByHand(
        "callbacks/spike_guard.py", "patience: int = 3", "patience: int = 2", "tests/callbacks/test_spike_guard.py"
    ),
    "one roll-back more": ByHand(
        "callbacks/spike_guard.py",
        "self.rolled_back > self.roll_backs",
        "self.rolled_back > self.roll_backs + 1",
        "tests/callbacks/test_spike_guard.py",
    ),
    "mean of means": ByHand(
        "training/loop/step.py", "sums[name] / counts[name]", "sums[name] / 1000", "tests/training/loop/test_step.py"
    ),
    "the two mel losses added up": ByHand(
        "modeling/losses.py", "    return total / 2", "    return total", "tests/modeling/test_losses.py"
    ),
    "one checkpoint more is kept": ByHand(
        "training/state/checkpoint.py",
        "[: -self.keep]",
        "[: -self.keep - 1]",
        "tests/training/state/test_checkpoint.py",
    ),
    "damage not looked for": ByHand(
        "training/state/checksums.py",
        "if _sha256(here[name]) != expected:",
        "if False:",
        "tests/training/state/test_checkpoint.py",
    ),
    "links of a checkpoint followed": ByHand(
        "training/state/checksums.py",
        "    if odd is not None:\n",
        "    if False:\n",
        "tests/training/state/test_strangers_states.py::test_what_is_neither_file_nor_folder_is_damage",
    ),
    "another host may ask": ByHand(
        "inference/web/guard.py",
        'if _split(f"//{host}").hostname not in self.names:',
        "if False:",
        "tests/test_listen_requests.py::test_only_its_own_page_may_ask",
    ),
    "another site may ask": ByHand(
        "inference/web/guard.py",
        "if origin is not None and _split(origin).netloc != host:",
        "if False:",
        "tests/test_listen_requests.py::test_only_its_own_page_may_ask",
    ),
    "any file is a clip": ByHand(
        "inference/web/guard.py",
        "found.is_relative_to(self.uploads) and ",
        "",
        "tests/test_listen_requests.py::test_no_file_of_the_computer_is_read_as_a_clip",
    ),
    "links out of a model's folder": ByHand(
        "inference/safe_folder.py",
        "if not any(target.is_relative_to(home) for home in homes):",
        "if False:",
        "tests/inference/test_strangers_models.py::test_one_message_and_exit_code_2",
    ),
    "weights of another shape": ByHand(
        "inference/safe_folder.py",
        "    if wrong:\n",
        "    if False:\n",
        "tests/inference/test_strangers_models.py::test_one_message_and_exit_code_2",
    ),
    "memory not asked for": ByHand(
        "inference/safe_folder.py",
        "if needed > USABLE_MEMORY * free:",
        "if False:",
        "tests/inference/test_strangers_models.py::test_a_model_that_does_not_fit_into_memory_is_not_built",
    ),
    "aliases in a config file": ByHand(
        "training/config/config_file.py",
        "if isinstance(event, yaml.AliasEvent):",
        "if False:",
        "tests/training/config/test_fields.py::test_a_config_file_that_is_none_is_one_message",
    ),
    "names in a card as they are": ByHand(
        "hub/card.py",
        r'return MARKUP.sub(r"\\\1", html.escape(plain(text), quote=False))',
        "return plain(text)",
        "tests/hub/test_cards.py::test_what_others_wrote_is_words",
    ),
    "numbers without an end": ByHand(
        "training/config/typed.py",
        "MOST_WHOLE, MOST_REAL = 10**9, 1e38",
        "MOST_WHOLE, MOST_REAL = 10**99, 1e99",
        "tests/training/config/test_fields.py::test_every_number_has_two_ends",
    ),
}
