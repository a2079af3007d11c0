"""`python -m wamjax` is `wamjax`."""

import sys

from wamjax.cli.main import main

sys.exit(main())
