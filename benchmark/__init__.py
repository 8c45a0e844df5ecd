"""The program: data, protocol, experiments, tables and figures."""
