{#-
    Each of `columns` is between 0 and 1, and there, unless it is one of `may_be_null`, in the months that this run made.
    One test for all columns: dbt takes longer to start a test than DuckDB to run it.
-#}
{% test share(model, columns, may_be_null=[]) %}
select
    {{ columns | join(", ") }},
from {{ model }}
where
    as_of_month in (select months.as_of_month from {{ ref('int_as_of_months') }} as months)
    and (
        least({{ columns | join(", ") }}) < 0
        or greatest({{ columns | join(", ") }}) > 1
        {% for column in columns if column not in may_be_null %} or {{ column }} is null{% endfor %}
    )
{% endtest %}
