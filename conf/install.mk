# Included by the Makefile: dependencies, install and uninstall.
