{% macro is_no_home(accommodation) -%}
    {#- True if an applicant was in no settled home: the address given is then no residence. -#}
    coalesce({{ accommodation }} in ('NO_FIXED_ABODE', 'ROUGH_SLEEPING', 'TEMPORARY'), false)
{%- endmacro %}
