"""Which pre-trained vision model should I fine-tune for my data?

The packages, in the order in which data goes through them: `itm.data` and `itm.zoo`, `itm.features`, `itm.scores`,
`itm.ranking`, `itm.report`; `itm.run` does all of it. `itm.scores.evaluate("itm", features, labels)` scores one array.
Importing this package imports none of them.
"""

import os

# Waiting OpenMP threads must not spin: on a busy machine two spinning ones take ten times as long. It has an effect only before
# torch, scikit-learn or another user of OpenMP is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
