{% macro members_of_months() -%}
    {#- The members of households in the months that this run makes: the members of other months stay as they are. -#}
    select members.*
    from {{ ref('int_household_members') }} as members
    inner join {{ ref('int_as_of_months') }} as months on members.as_of_month = months.as_of_month
{%- endmacro %}
