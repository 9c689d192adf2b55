# The doors of the house. Each does the set-up first; all of it stays in .venv, ros2_ws/{build,install,log} and out/.

# What was chosen once stays chosen: a door without arguments does not change the environment.
PYTHON ?= $(or $(file < .venv/labvla-setup/chosen-python),python3)
TORCH ?= $(or $(file < .venv/labvla-setup/chosen-torch),cpu)
CELL ?= franka
WHAT ?= control
ENV := .venv/bin/labvla-env

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests demo test test-long lint format bench lock clean

help:
	@echo 'make setup      ROS 2 from wheels into .venv, build the workspace   [PYTHON=python3.12] [TORCH=cpu|cuda|none]'
	@echo 'make demo       show it at work                                     [CELL=franka|dual_franka] [ENGINE=labvla|expert]'
	@echo 'make test       the tests, about a quarter of an hour on two cores'
	@echo 'make test-long  the long ones'
	@echo 'make lint       style and types;  make format repairs the style'
	@echo 'make bench      measurements, as JSON under out/bench               [WHAT=control|node|sim|model|…]'
	@echo 'make lock       resolve requirements/bench.in anew'
	@echo 'make clean      remove everything that the doors made'

setup:
	@$(PYTHON) tools/setup_bench.py --torch $(TORCH)

setup-tests:
	@$(PYTHON) tools/setup_bench.py --torch $(TORCH) --tests

demo: setup
	@.venv/bin/labvla demo $(CELL) $(if $(ENGINE),--engine $(ENGINE))

test: setup-tests
	@$(ENV) ctest --test-dir ros2_ws/build/labvla_control --output-on-failure --exclude-regex python
	@$(ENV) pytest -n 2

test-long: setup-tests
	@$(ENV) tools/sanitize
	@$(ENV) pytest -m long

lint: setup
	@$(ENV) tools/lint

format: setup
	@$(ENV) tools/lint --fix

bench: setup
	@.venv/bin/labvla bench $(WHAT)

lock:
	@.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command 'make lock' requirements/bench.in -o requirements/bench.lock
	@.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command 'make lock' requirements/openpi-client.in \
	  -o requirements/openpi-client.lock

clean:
	rm -rf .venv ros2_ws/build ros2_ws/install ros2_ws/log out
