"""Loss and metrics for two classes or more. Class weights are in the loss alone, so that metrics stay honest."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from cluster.errors import UsageError


def class_weights(
    setting: Literal["none", "balanced"] | Sequence[float], rows_per_label: Mapping[int, float], classes: int
) -> tuple[float, ...]:
    """How much a row of each class counts in the training loss, label 0 first.

    Args:
        setting: `training.class_weights`. `balanced` is rows / (classes * rows of the class), so that all classes
            weigh alike and the mean row weighs 1.
        rows_per_label: rows of an epoch by label; on average, where they are drawn.
        classes: number of classes.

    Raises:
        UsageError: another number of weights than classes, or a class to balance has no rows.
    """
    if setting == "none":
        return (1.0,) * classes
    if setting == "balanced":
        counts = [rows_per_label.get(label, 0) for label in range(classes)]
        if 0 in counts:
            raise UsageError(
                f"training.class_weights: balanced, and the training split has no rows of label {counts.index(0)}: "
                "give the weights as a list, or tile slides that have them"
            )
        return tuple(sum(counts) / (classes * count) for count in counts)
    if len(setting) != classes:
        raise UsageError(
            f"training.class_weights names {len(setting)} weights for {classes} classes: give one per class, "
            "class 0 (normal) first"
        )
    return tuple(float(weight) for weight in setting)


class ClassWeightedCrossEntropy(keras.losses.Loss):
    """Cross-entropy of each row, times the weight of its class.

    Labels are (b, 1) class indices. Predictions are (b, 1), the probability of label 1, or (b, classes).

    Args:
        weights: one per class, label 0 first.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        # Each row counts 1 / batch size on every replica alike, whatever it weighs.
        super().__init__(name="loss", reduction="sum_over_batch_size")
        self.weights = tuple(weights)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each row, (b,) float32."""
        binary = y_pred.shape[-1] == 1
        labels = ops.cast(ops.squeeze(y_true, axis=-1), "int32")
        entropy = (
            keras.losses.binary_crossentropy(y_true, y_pred)
            if binary
            else keras.losses.sparse_categorical_crossentropy(labels, y_pred)
        )
        return entropy * ops.take(np.array(self.weights, np.float32), labels)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"weights": self.weights}


class OneVsRestAUC(keras.metrics.AUC):
    """Mean of the AUCs of each class against all others, over the classes that have rows.

    Labels are (b, 1) class indices, predictions (b, classes). Approximate, by Keras's 200 thresholds.

    Args:
        classes: number of classes.
        name: of the metric.
    """

    def __init__(self, classes: int, name: str = "auc") -> None:
        super().__init__(multi_label=True, num_labels=classes, name=name)
        self.classes = classes

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count some rows; `sample_weight` is (b, 1)."""
        one_hot = ops.one_hot(ops.cast(ops.squeeze(y_true, axis=-1), "int32"), self.classes)
        super().update_state(one_hot, y_pred, sample_weight)

    def result(self) -> Any:
        """The mean; 0 where no class can be told from another."""
        positives = self.true_positives + self.false_negatives  # (thresholds, classes)
        negatives = self.false_positives + self.true_negatives
        hit, false_alarm = (
            ops.divide_no_nan(part, whole)
            for part, whole in ((self.true_positives, positives), (self.false_positives, negatives))
        )
        areas = ops.sum((false_alarm[:-1] - false_alarm[1:]) * (hit[:-1] + hit[1:]) / 2, axis=0)
        there = ops.cast((positives[0] > 0) & (negatives[0] > 0), areas.dtype)
        return ops.divide_no_nan(ops.sum(areas * there), ops.sum(there))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"classes": self.classes, "name": self.name}


def stage_metrics(classes: int) -> list[keras.metrics.Metric]:
    """`cross_entropy`, the mean of the real rows, and `auc`; neither knows class weights."""
    if classes == 2:
        return [keras.metrics.BinaryCrossentropy(name="cross_entropy"), keras.metrics.AUC(name="auc")]
    return [keras.metrics.SparseCategoricalCrossentropy(name="cross_entropy"), OneVsRestAUC(classes)]
