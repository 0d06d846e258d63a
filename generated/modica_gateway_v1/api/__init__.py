# Generated from openapi/gateway-v1.openapi.yaml: do not edit, run `make regenerate`.
"""Contains methods for accessing the API"""
