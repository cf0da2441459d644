{% macro members_of_months() -%}
    {#- Members of households in the months that this run makes; those of other months stay. -#}
    select members.*
    from {{ ref('int_household_members') }} as members
    inner join {{ ref('int_as_of_months') }} as months on members.as_of_month = months.as_of_month
{%- endmacro %}
