# One obvious command a chore.
.PHONY: test check audit dev lock format

PYTHON := .venv/bin/python
READY := .venv/.dev-ready

test: check  ## everything: lint, types, unit tests, the real daemon, the embedded engine
	@$(PYTHON) -m pytest -n 2 --dist loadfile || { status=$$?; [ $$status -eq 1 ] || exit $$status; \
	  echo "Some failed beside other tests. Their files run once more, alone: what fails again is broken."; \
	  $(PYTHON) -m pytest $$($(PYTHON) -c 'import json; print(*sorted({one.partition("::")[0] \
	    for one in json.load(open(".pytest_cache/v/cache/lastfailed"))}))'); }

check: $(READY)  ## lint, types, import rules
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache
	.venv/bin/shellcheck *.sh deploy/*.sh
	@$(MAKE) -s audit

audit: $(READY)  ## known weaknesses of what is installed; where no database is reached, only a line
	@told=$$(.venv/bin/pip-audit -s osv --timeout 5 --progress-spinner off --disable-pip --no-deps \
	  -r requirements-embedded.txt 2>&1); \
	case "$$told" in \
	  *"Found "*"known vulnerabilit"*) echo "$$told"; exit 1 ;; \
	  *"No known vulnerabilities found"*) echo "pip-audit: no known vulnerabilities" ;; \
	  *) echo "pip-audit: not audited:" $$(echo "$$told" | tail -n 1 | cut -c 1-160) ;; \
	esac

dev: $(READY)  ## serve, and start again when a file changes
	.venv/bin/uvicorn --factory app.main:create_app --reload --reload-dir app

format: $(READY)
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

lock: $(READY)  ## pin again what pyproject.toml asks for, with the hash of each file
	for extras in "" "--extra ray" "--extra embedded" "--extra embedded --extra dev"; do \
	  name=$$(echo "$$extras" | awk 'NF {print "-" $$NF}'); \
	  .venv/bin/uv pip compile -q --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
	    --no-emit-find-links $$extras pyproject.toml -o "requirements$$name.txt"; \
	done

$(READY): requirements-dev.txt
	python3 -m venv .venv
	$(PYTHON) -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@
