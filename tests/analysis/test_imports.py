import subprocess
import sys


def test_analysis_imports_neither_ray_nor_the_rest_of_search() -> None:
    code = (
        "import sys, mollitune.analysis;"
        "print(sorted(m for m in sys.modules if m.partition('.')[0] in ('ray', 'optuna')"
        " or m.startswith(('mollitune.search.', 'mollitune.models'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['mollitune.search._fills', 'mollitune.search.schema']"
