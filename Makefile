# Reddit dumps in, reranked replies out. `make help` lists the targets and variables.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

DUMPS ?=
NAME ?=
DATA_CONFIG ?= configs/data/reddit.yaml
CONFIG ?= configs/train/demo.yaml
# configs/train/backward_small.yaml goes with small.yaml; any other recipe is trained backwards as it is.
PLATO_CONFIG ?= configs/train/plato/$(if $(filter sample,$(train_name)),demo,pretrain).yaml
BACKWARD_CONFIG ?= $(firstword $(wildcard $(dir $(CONFIG))backward_$(notdir $(CONFIG))) $(CONFIG))
LAUNCH ?= $(PY) -m
CONTEXTS ?= configs/decode/demo_contexts.jsonl
EXTRACT_ARGS ?=
TRAIN_ARGS ?=
SWEEP_ARGS ?=
DECODE_ARGS ?=
CHAT_ARGS ?=
WEB_ARGS ?=
# Of configs/decode/: what `make evaluate` answers the test set with.
SYSTEMS ?= greedy top_k beam mmi
EVALUATE_ARGS ?=

# The data set that `make extract` makes: NAME, or the dumps' folder name, or the sample.
dumps_name := $(if $(DUMPS),$(shell basename '$(DUMPS)' | tr ' ' '-'))
extract_name := $(or $(NAME),$(dumps_name),sample)
# The one that the later targets read: the same, or what was extracted last.
train_name := $(or $(NAME),$(dumps_name),$(shell cat data/current 2>/dev/null || true),sample)
recipe := $(basename $(notdir $(CONFIG)))
data := data/$(train_name)
run := runs/$(train_name)-$(recipe)
plato_run := runs/$(train_name)-plato-$(basename $(notdir $(PLATO_CONFIG)))
TESTSET ?= $(data)/extracted/testset/multiref.jsonl
# A vocabulary of 50,257 is too much for a demo model: on the sample a small one is trained.
TOKENIZER ?= $(if $(filter sample,$(train_name)),train,gpt2)
tokenizer_folder := $(if $(filter train,$(TOKENIZER)),$(data)/tokenizer,$(TOKENIZER))
VOCAB_SIZE ?= 8000
SHARDS ?= $(data)/shards
# PLATO begins with BERT's weights, so with its vocabulary, unless another one is named.
plato_default := $(if $(filter sample,$(train_name)),train,hub:bert-base-uncased)
PLATO_TOKENIZER ?= $(if $(filter file,$(origin TOKENIZER)),$(plato_default),$(TOKENIZER))
plato_shards := $(data)/shards$(if $(filter $(TOKENIZER),$(PLATO_TOKENIZER)),,-plato)

.PHONY: help install sample extract dialogues tokenizer shards sweep train train-forward train-backward train-plato decode \
	evaluate chat web report report-data demo demo-plato test test-slow test-browser lint format clean clean-data

help:  ## list targets and variables
	@echo 'Targets:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'Variables (now):'
	@printf '  %-16s %s\n' \
	  'DUMPS' 'folder of RC_*/RS_* dumps; unset, a sample is made ($(or $(DUMPS),sample))' \
	  'NAME' 'data set name under data/ and runs/ (extract: $(extract_name); train: $(train_name))' \
	  'DATA_CONFIG' 'extraction recipe ($(DATA_CONFIG))' \
	  'CONFIG' 'training recipe ($(CONFIG))' \
	  'BACKWARD_CONFIG' 'recipe of the backward model ($(BACKWARD_CONFIG))' \
	  'PLATO_CONFIG' 'recipe of `make train-plato` ($(PLATO_CONFIG))' \
	  'PLATO_TOKENIZER' 'its tokenizer, as TOKENIZER ($(PLATO_TOKENIZER))' \
	  'TOKENIZER' '"gpt2", "hub:NAME", a folder, or "train" to train one ($(TOKENIZER))' \
	  'SHARDS' 'folder of the shards ($(SHARDS))' \
	  'VOCAB_SIZE' 'pieces of a trained tokenizer ($(VOCAB_SIZE))' \
	  'LAUNCH' 'how training starts, e.g. "accelerate launch --config_file F -m" ($(LAUNCH))' \
	  'CONTEXTS' 'JSON Lines that `make decode` answers ($(CONTEXTS))' \
	  'TESTSET' 'items that `make evaluate` answers and scores ($(TESTSET))' \
	  'SYSTEMS' 'decoding presets that it scores ($(SYSTEMS))' \
	  'EXTRACT_ARGS' 'further options of `python -m data_prep extract`; so TRAIN_ARGS, SWEEP_ARGS, DECODE_ARGS, CHAT_ARGS, WEB_ARGS, EVALUATE_ARGS' \
	  'PYTHON' 'a Python of version 3.11.5 or newer ($(PYTHON))' \
	  'VENV, PIP_ARGS' 'virtual environment ($(VENV)); options for pip install'
	@echo
	@echo 'Examples:'
	@echo '  make demo'
	@echo '  make extract DUMPS=/path/to/dumps && make train CONFIG=configs/train/small.yaml'
	@echo '  make train CONFIG=configs/train/medium.yaml \'
	@echo '      LAUNCH="$(VENV)/bin/accelerate launch --config_file configs/accelerate/many_gpus.yaml -m"'

install: $(INSTALLED)  ## set up the virtual environment (every target does it by itself)

# A stamp: reinstalled only when what is to be installed changes.
$(INSTALLED): setup.cfg setup.py pyproject.toml constraints.txt $(wildcard data_prep/native/*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 5))' || { \
	  echo 'error: $(PYTHON) is older than 3.11.5; name a newer one: make PYTHON=python3.12 ...' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[sample,plots,dev]'
	@touch $@

sample: $(INSTALLED)  ## make the sample dump from real chit-chat
	@$(PY) -m data_prep sample --output data/sample/dumps

ifeq ($(DUMPS),)
extract: sample
endif
extract: $(INSTALLED)  ## dumps -> dialogues (DUMPS=..., else the sample)
	@# 3: all is written, but an archive is damaged; the user decides whether to go on with it.
	@$(PY) -m data_prep extract --config $(DATA_CONFIG) --dumps '$(or $(DUMPS),data/sample/dumps)' \
	  --output 'data/$(extract_name)/extracted' $(EXTRACT_ARGS); code=$$?; \
	if [ $$code = 0 ] || [ $$code = 3 ]; then echo '$(extract_name)' > data/current; fi; exit $$code

# What the later targets need and can make by themselves: the sample's dialogues, or those of DUMPS.
dialogues: $(INSTALLED)
	@[ -d $(data)/extracted/dialogues ] || \
	  [ -z '$(DUMPS)$(filter sample,$(train_name))' ] || $(MAKE) extract NAME=$(train_name)

tokenizer: dialogues  ## train a tokenizer on the dialogues, where TOKENIZER=train
ifeq ($(TOKENIZER),train)
	@$(PY) -m data_prep tokenizer --dialogues $(data)/extracted --output $(data)/tokenizer \
	  --vocab_size $(VOCAB_SIZE)
endif

shards: tokenizer  ## dialogues -> LMDB shards
	@$(PY) -m data_prep shards --dialogues $(data)/extracted --tokenizer '$(tokenizer_folder)' \
	  --output $(SHARDS)

sweep: shards  ## choose the learning rate by validation loss, over short runs
	@$(PY) -m dialogpt.sweep --config $(CONFIG) --data.shards $(data)/shards --output $(run)/sweep \
	  --launcher '$(LAUNCH)' $(SWEEP_ARGS) $(TRAIN_ARGS)
	@echo
	@echo 'With make: make train CONFIG=$(CONFIG) TRAIN_ARGS="--schedule.learning_rate RATE"'

train: train-forward train-backward  ## train the forward model, then the backward model
	@# Where `python -m dialogpt.decode` looks when no model is named.
	@ln -sfn $(train_name)-$(recipe) runs/latest

train-forward: shards  ## train P(response | context)
	@echo 'Forward model: $(CONFIG) on $(data)/shards -> $(run)/forward'
	@$(LAUNCH) dialogpt.train --config $(CONFIG) --data.shards $(data)/shards \
	  --output $(run)/forward $(TRAIN_ARGS)

train-backward: shards  ## train P(source | response), which reranks
	@echo 'Backward model: $(BACKWARD_CONFIG) on $(data)/shards -> $(run)/backward'
	@$(LAUNCH) dialogpt.train --config $(BACKWARD_CONFIG) --data.shards $(data)/shards \
	  --output $(run)/backward --direction backward $(TRAIN_ARGS)

train-plato: $(INSTALLED)  ## train a PLATO, whose latents each have a reply
	@$(MAKE) shards TOKENIZER='$(PLATO_TOKENIZER)' SHARDS='$(plato_shards)'
	@echo 'PLATO: $(PLATO_CONFIG) on $(plato_shards) -> $(plato_run)'
	@$(LAUNCH) dialogpt.train --config $(PLATO_CONFIG) --data.shards $(plato_shards) \
	  --output $(plato_run) $(TRAIN_ARGS)
	@echo
	@echo 'Talk with it: $(PY) -m dialogpt.chat --config configs/decode/plato.yaml --model $(plato_run)'

# In this order also under `make -j`: both would want all cores.
train-backward: | train-forward

decode: $(INSTALLED)  ## answer CONTEXTS with the trained models, reranked
	@$(PY) -m dialogpt.decode --config configs/decode/mmi.yaml --mmi --model $(run)/forward \
	  --backward_model $(run)/backward --contexts $(CONTEXTS) $(DECODE_ARGS)

# What is there may be of other models, so it is made anew.
evaluate: $(INSTALLED)  ## answer TESTSET with each of SYSTEMS, and score them beside people
	@test -s '$(TESTSET)' || { echo 'error: $(TESTSET): expected a test set, found none; extract more,' \
	  'lower EXTRACT_ARGS="--multiref.min_responses N", or name one with TESTSET' >&2; exit 1; }
	@set -e; for system in $(SYSTEMS); do \
	  rm -f "$(run)/scores/$$system.jsonl"; \
	  $(PY) -m dialogpt.decode --config "configs/decode/$$system.yaml" --model $(run)/forward \
	    --backward_model $(run)/backward --contexts '$(TESTSET)' --show 0 \
	    --output "$(run)/scores/$$system.jsonl" $(DECODE_ARGS) > /dev/null; \
	done
	@$(PY) -m dialogpt.evaluate --references '$(TESTSET)' --output $(run)/scores \
	  --systems $(foreach system,$(SYSTEMS),$(system)=$(run)/scores/$(system).jsonl) $(EVALUATE_ARGS)

web: $(INSTALLED)  ## the same as a page in the browser; needs `pip install -e .[web]`
	@$(PY) -m dialogpt.web --config configs/decode/chat.yaml $(WEB_ARGS)

chat: $(INSTALLED)  ## talk with the models trained last, in the terminal
	@$(PY) -m dialogpt.chat --config configs/decode/chat.yaml $(CHAT_ARGS)

report-data: $(INSTALLED)  ## one HTML page about the dialogues: drops, lengths, examples
	@$(PY) -m data_prep report $(data)/extracted --output $(data)/report

report: $(INSTALLED)  ## a page about both models' training, and their loss curves as a picture
	@$(PY) -m dialogpt.report $(run)/forward $(run)/backward --output $(run)/loss.png
	@$(PY) -m dialogpt.report $(run)/forward $(run)/backward --output $(run)/report

demo: $(INSTALLED)  ## the whole job on the sample: dump, extraction, both models, MMI replies
	@$(MAKE) extract DUMPS= NAME=sample
	@$(MAKE) train NAME=sample CONFIG=configs/train/demo.yaml
	@$(MAKE) decode NAME=sample CONFIG=configs/train/demo.yaml

demo-plato: $(INSTALLED)  ## a small PLATO on the sample, and what each of its latents says
	@$(MAKE) extract DUMPS= NAME=sample
	@$(MAKE) train-plato NAME=sample
	@# Beams of so small a model end alike whatever the latent.
	@$(PY) -m dialogpt.latents --model runs/sample-plato-demo --contexts $(CONTEXTS) \
	  --generation.method sample --generation.top_k 10 --generation.temperature 0.8

# One thread a test process: with two, the processes of two cores would fight over them.
test: $(INSTALLED)  ## run the whole test suite
	@OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(PY) -m pytest -n auto -m 'not slow' $(TEST_ARGS)

test-slow: $(INSTALLED)  ## run the tests that take minutes or gigabytes
	@OMP_NUM_THREADS=1 $(PY) -m pytest -m slow --timeout 1800 $(TEST_ARGS)

test-browser: $(INSTALLED)  ## run the tests of pages in Chromium, which is installed for that
	@$(PY) -m pip install --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[browser,web]'
	@$(PY) -m playwright install chromium
	@DIALOGPT_NEED_BROWSER=1 OMP_NUM_THREADS=1 $(PY) -m pytest \
	  tests/integration/test_humaneval_page.py tests/integration/test_web_page.py $(TEST_ARGS)

lint: $(INSTALLED)  ## ruff, mypy, import directions
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m pytest -q tests/test_architecture.py

format: $(INSTALLED)  ## put the code in ruff's format
	@$(PY) -m ruff check --fix -q .
	@$(PY) -m ruff format .

clean:  ## remove caches and the virtual environment
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info

clean-data:  ## remove data/ and runs/ (sample, extracted dialogues, shards, models)
	rm -rf data runs
