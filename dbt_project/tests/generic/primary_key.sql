{#-
    Each row has a key of its own, with no part of it missing. One test in place of a unique and several not_null: dbt
    takes longer to start a test than DuckDB to run it.
-#}
{% test primary_key(model, columns) %}
select
    {{ columns | join(", ") }},
    count(*) as row_count,
from {{ model }}
group by all
having count(*) > 1{% for column in columns %} or {{ column }} is null{% endfor %}
{% endtest %}
