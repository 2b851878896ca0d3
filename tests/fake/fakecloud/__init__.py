# SPDX-License-Identifier: MIT
"""The fake OpenStack cloud of the tests: see ../cloud.py."""
