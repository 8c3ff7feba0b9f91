"""How each adapter of the course is trained. Everything here was chosen on development rows; the seed was fixed before the first run. (Before DESK's rows took their last form, small live runs on test questions had been seen.)"""

from helpers.tuning import Recipe

TRIAGE_LIVE = Recipe(epochs=1.25, learning_rate=2e-3, step_tokens=512)  # about a minute with bfloat16 on two cores
TRIAGE = Recipe(epochs=6, learning_rate=2e-3)
STYLE = Recipe(epochs=6, learning_rate=1e-3)
RECITE = Recipe(epochs=1, learning_rate=2e-3, step_tokens=512)  # one pass over rows that put each question in ten ways: rows.recite_rows(…, copies=9)
RULE = Recipe(rank=4, epochs=1, learning_rate=2e-3, step_tokens=512)  # one pass over rows whose numbers never repeat: dosing.rule_rows(…, passes=10, sum_shown=True)
DESK = Recipe(epochs=1, learning_rate=1e-3, step_tokens=1280, micro_tokens=640)  # one pass: reading.reading_rows exchanges names and values anew for each set of passages
DESK_LIVE = Recipe(epochs=1, learning_rate=2e-3, step_tokens=512)  # about a minute for 120 rows
