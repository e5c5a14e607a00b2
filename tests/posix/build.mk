# SPDX-License-Identifier: MIT
# The conformance tests of Debian's source package posixtestsuite, all in one static program: see build.py.

$(B)/guest/posix: $(call fetched,posixtestsuite) tests/posix/build.py tests/posix/runner.c
	$(call say,GUEST,$@)
	@$(PYTHON) tests/posix/build.py $(<D) $(B)/posix $@
guest-packages: $(B)/guest/posix
