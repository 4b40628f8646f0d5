import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for (sql,) in db.execute("select sql from sqlite_master where sql is not null and name not like 'sqlite_%' order by rowid"):
    print(sql + ";")
tables = [name for (name,) in db.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by rowid")]
for table in tables + ["sqlite_sequence"]:
    if table == "sqlite_sequence":
        print("DELETE FROM sqlite_sequence;")
    columns = [row[1] for row in db.execute(f"select * from pragma_table_info('{table}')")]
    values = "||','||".join(f"quote(\"{column}\")" for column in columns)
    for (row,) in db.execute(f"select {values} from {table} {'where count > 0' if table == 'counters' else ''} order by rowid"):
        print(f"INSERT INTO {table} VALUES({row});")
