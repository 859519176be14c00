"""Classifiers of texts through transformers: how probable a label is for a text."""

from collections.abc import Sequence
from typing import Any, Self

import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from dialogpt.checkpoint import resolve_model_folder
from dialogpt.command_line import UserError

_BATCH_TEXTS = 64
_LOADING_ERRORS = (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError)


class TextClassifier:
    """A sequence classification model of transformers, asked for one of its labels.

    Args:
        model: in evaluation mode, on its device.
        tokenizer: its own; texts are data for it, so "[SEP]" typed by somebody separates nothing.
        label_index: which output is asked for.
        label: its name.
    """

    def __init__(self, model: Any, tokenizer: Any, *, label_index: int, label: str) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._label_index = label_index
        self.label = label
        # Labels that do not exclude one another have a probability each, not one sum of 1.
        config = model.config
        self._are_independent = (
            config.problem_type == "multi_label_classification" or config.num_labels == 1
        )
        positions = getattr(config, "max_position_embeddings", None) or 512
        # RoBERTa's positions start behind the padding id.
        offset = (config.pad_token_id or 0) + 1 if "roberta" in config.model_type else 0
        self._max_tokens = min(tokenizer.model_max_length, positions - offset)

    @classmethod
    def load(cls, name: str, *, label: str, device: torch.device) -> Self:
        """A classifier from a folder or the hub, in float32.

        Args:
            name: a folder in Hugging Face format, or a name on the hub.
            label: one of its labels, in any case.
            device: where to put it.

        Raises:
            UserError: nothing is there that loads, it is not a whole classifier, or it has no such
                label.
        """
        disable_progress_bar()
        folder = resolve_model_folder(name)
        try:
            model, report = AutoModelForSequenceClassification.from_pretrained(
                folder,
                dtype=torch.float32,
                use_safetensors=True,  # the older format is pickle, which can run code
                trust_remote_code=False,
                output_loading_info=True,
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except _LOADING_ERRORS as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(
                f"filter.classifier {name}: expected a text classifier in Hugging Face format "
                f"(config.json, model.safetensors, a tokenizer); loading failed: {reason}"
            ) from error
        # transformers would fill what is missing at random, and the answers would be as random.
        missing = sorted(report["missing_keys"])
        if missing:
            raise UserError(
                f"filter.classifier {name}: the weights lack {', '.join(missing[:3])}; they are "
                "not those of a classifier"
            )
        labels = {str(text).casefold(): index for index, text in model.config.id2label.items()}
        if label.casefold() not in labels:
            raise UserError(
                f"filter.classifier_label: expected one of {', '.join(labels)}, the labels of "
                f"{name}, found {label!r}"
            )
        model.requires_grad_(False).eval().to(device)
        return cls(model, tokenizer, label_index=int(labels[label.casefold()]), label=label)

    @torch.inference_mode()
    def probabilities(self, texts: Sequence[str]) -> list[float]:
        """P(label | text) of each text, in [0, 1]; a text's end that does not fit is not read."""
        # Without a padding token texts are read one at a time.
        size = _BATCH_TEXTS if self._tokenizer.pad_token is not None else 1
        found: list[float] = []
        for start in range(0, len(texts), size):
            batch = self._tokenizer(
                list(texts[start : start + size]),
                padding=size > 1,
                truncation=True,
                max_length=self._max_tokens,
                split_special_tokens=True,
                return_tensors="pt",
            )
            logits = self._model(**batch.to(self._model.device)).logits.float()
            each = logits.sigmoid() if self._are_independent else logits.softmax(dim=-1)
            found += each[:, self._label_index].tolist()
        return found
