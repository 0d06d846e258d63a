# Generated from openapi/sms-v2.openapi.yaml: do not edit, run `make regenerate`.
"""Contains endpoint functions for accessing the API"""
