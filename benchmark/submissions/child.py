"""The process in which `verify` reads a bundle: limits first, then everything else."""

import sys
from pathlib import Path

from benchmark.submissions.limits import (
    ACCEPTED,
    NO_MEMORY,
    REJECTED,
    UNABLE,
    limit_this_process,
)


def main(bundle: str, results: str, keep: str, data_dir: str) -> int:
    """Print the report; the exit status says what became of the bundle, see `limits`.

    `keep` and `data_dir` are "" where they are not asked for.
    """
    limit_this_process()
    # Only now, so that what is imported counts.
    from benchmark.errors import UserError
    from benchmark.submissions import report
    from benchmark.submissions.faults import BundleError
    from benchmark.submissions.keep import keep as store
    from benchmark.submissions.verify import verify

    name = Path(bundle).name
    try:
        verified = verify(bundle, results, data_dir or None)
        if keep and verified.unscored_maps:
            raise UserError(
                "of maps only what they score on each image is kept, which needs the experts'"
                " masks: name the data set's folder with --data-dir"
            )
        sys.stdout.write(report.accepted(name, verified))
        if keep:
            folder = store(results, verified.manifest, list(verified.said.values()), verified.flags)
            sys.stdout.write(f"\nKept in `{folder}`.\n")
    except BundleError as fault:
        sys.stdout.write(report.rejected(name, fault))
        return REJECTED
    except UserError as error:
        sys.stderr.write(str(error))
        return UNABLE
    except MemoryError:
        return NO_MEMORY
    return ACCEPTED


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
