"""Runs queries on published tables by DuckDB's Iceberg reader and by pyiceberg, and prints the results as JSON.

    read.py FOLDER_OF_TABLES < queries.json
"""

import json
import sys

import duckdb
from duckdb_extensions import import_extension
from pyiceberg.table import StaticTable

TABLES = ["samples", "sums", "nodes", "frames", "functions", "mappings", "series", "windows"]


def by_duckdb(folder):
    connection = duckdb.connect()
    # Installs the extensions from Python packages, without a download.
    for extension in ["avro", "iceberg"]:
        import_extension(extension, con=connection)
    connection.sql("LOAD iceberg")
    for table in TABLES:
        connection.sql(f"CREATE VIEW {table} AS FROM iceberg_scan('{folder}/{table}')")
    return connection


def by_pyiceberg(folder):
    connection = duckdb.connect()
    for table in TABLES:
        opened = StaticTable.from_metadata(f"{folder}/{table}")
        connection.register(table, opened.scan().to_arrow())
    return connection


def main():
    folder, queries = sys.argv[1], json.load(sys.stdin)
    results = {}
    for name, connect in [("duckdb", by_duckdb), ("pyiceberg", by_pyiceberg)]:
        connection = connect(folder)
        results[name] = [connection.sql(query).fetchall() for query in queries]
    print(json.dumps(results, default=str))


main()
